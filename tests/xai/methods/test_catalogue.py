"""A name and its explainer are the same thing written twice."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xai.methods import (
    CONTROLS,
    EXPLAINERS,
    Explainer,
    Gradient,
    IntegratedGradients,
    Occlusion,
    SmoothGrad,
    explainer,
)


@pytest.mark.parametrize("name", EXPLAINERS)
def test_each_default_is_an_explainer_of_its_name(name):
    found = explainer(name)
    assert found.name == name
    assert isinstance(found, Explainer)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.anything = 1  # type: ignore[attr-defined]


def test_defaults_hold_the_controls_once():
    assert len(set(EXPLAINERS)) == len(EXPLAINERS)
    assert set(CONTROLS) < set(EXPLAINERS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gradient_abs", Gradient(absolute=True)),
        ("integrated_gradients_n100", IntegratedGradients(100)),
        ("smoothgrad_n50_s0.1", SmoothGrad(50, 0.1)),
        ("occlusion_w10", Occlusion(10)),
        ("occlusion_w10-paper", Occlusion(10, direction="paper")),
        ("occlusion_w5x5_v0.5", Occlusion((5, 5), value=0.5)),
        ("occlusion_w10_v-1", Occlusion(10, value=-1)),
        ("occlusion_w24_s4_vmean_single-paper", Occlusion(24, 4, "mean", "single", "paper")),
    ],
)
def test_names_read_as_documented(name, expected):
    assert explainer(name) == expected
    assert expected.name == name


extents = st.integers(4, 50) | st.tuples(st.integers(4, 50), st.integers(4, 50))


@given(
    st.builds(
        Occlusion,
        width=extents,
        stride=st.integers(1, 4),
        value=st.floats(-1e6, 1e6) | st.integers(-3, 3) | st.sampled_from(["mean", "mode"]),
        channels=st.sampled_from(["joint", "single"]),
        direction=st.sampled_from(["corrected", "paper"]),
    )
    | st.builds(SmoothGrad, draws=st.integers(1, 99), noise=st.floats(0, 10))
    | st.builds(IntegratedGradients, steps=st.integers(1, 999))
)
@settings(max_examples=200, deadline=None)
def test_every_explainer_comes_back_from_its_name(how):
    assert explainer(how.name) == how


@pytest.mark.parametrize(
    "name",
    [
        "",
        "lime",
        "Gradient",
        "occlusion",
        "occlusion_w",
        "occlusion_w0",
        "occlusion_w010",
        "occlusion_w4_s5",
        "occlusion_w4x4_s1x1x1",
        "occlusion_w4_vmedian",
        "occlusion_w4_vnan",
        "occlusion_w4_v0.50",
        "occlusion_w4-paper_single",
        "smoothgrad_n0",
        "smoothgrad_n25",
        "integrated_gradients_n",
    ],
)
def test_unknown_names_are_answered_with_the_known_ones(name):
    with pytest.raises(ValueError, match=r"expected one of gradient, .*occlusion_w10, .*amplitude") as error:
        explainer(name)
    assert repr(name) in str(error.value)

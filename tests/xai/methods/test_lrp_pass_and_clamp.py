"""Pass and clamp filters by themselves, the points where they stand, their names, and their account."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models.unet import UNet3d
from xai.methods import explainer
from xai.methods.lrp import (
    SWEEP,
    Clamp,
    Epsilon,
    Filtered,
    Pass,
    Raw,
    Tjoa,
    filter_named,
    filter_points,
    layer_names,
    relevance_runs,
    relevances,
    zplus_box,
)
from xai.methods.lrp.tjoa import PUBLISHED

CORRECT = zplus_box(0, 1)
PARTS = st.floats(0, 1, allow_nan=False).map(lambda part: round(part, 3))
BOUNDS = st.tuples(PARTS, PARTS).map(sorted).filter(lambda pair: pair[0] < pair[1])
OF = st.sampled_from(["tensor", "channel"])
CASES = st.tuples(BOUNDS, OF, st.integers(0, 2**16), st.integers(1, 3), st.integers(1, 3))


def drawn(seed: int, samples: int, channels: int) -> Tensor:
    relevance = torch.randn(samples, channels, 2, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    relevance[:, :, 0, 0] = 0
    return relevance * 10 ** torch.arange(samples).view(-1, 1, 1, 1)


def largest_of(relevance: Tensor, sample: int, channel: int, of: str) -> float:
    return float((relevance[sample] if of == "tensor" else relevance[sample, channel]).abs().max())


@given(CASES)
@settings(max_examples=60, deadline=None)
def test_a_pass_filter_keeps_what_lies_between_its_bounds(case):
    (low, high), of, seed, samples, channels = case
    relevance = drawn(seed, samples, channels)
    found = Pass(low, high, of)(relevance)
    for place in torch.cartesian_prod(*(torch.arange(size) for size in relevance.shape)).view(-1, 4).tolist():
        value, largest = float(relevance[tuple(place)]), largest_of(relevance, place[0], place[1], of)
        expected = value if low * largest <= abs(value) <= high * largest else 0.0
        assert float(found[tuple(place)]) == expected


@given(CASES)
@settings(max_examples=60, deadline=None)
def test_a_clamp_limits_sizes_and_raises_small_ones(case):
    (low, high), of, seed, samples, channels = case
    relevance = drawn(seed, samples, channels)
    found = Clamp(high, low, of)(relevance)
    for place in torch.cartesian_prod(*(torch.arange(size) for size in relevance.shape)).view(-1, 4).tolist():
        value, largest = float(relevance[tuple(place)]), largest_of(relevance, place[0], place[1], of)
        size = min(max(abs(value), low * largest), high * largest)
        expected = 0.0 if value == 0 else size if value > 0 else -size
        assert float(found[tuple(place)]) == pytest.approx(expected, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize(
    "keep", [*SWEEP, Clamp(0.5, low=0.2), Pass(0.1, 0.3, of="channel")], ids=lambda keep: keep.name
)
def test_no_sample_sees_another_and_zeros_and_scales_stay(keep):
    relevance = drawn(3, 3, 2)
    found = keep(relevance)
    for sample in range(3):
        torch.testing.assert_close(found[sample], keep(relevance[sample][None])[0], rtol=0, atol=0)
    torch.testing.assert_close(keep(1e6 * relevance), 1e6 * found)
    torch.testing.assert_close(keep(-relevance), -found)
    assert not keep(torch.zeros(1, 2, 3)).any()


NAMES = {
    "pass0-0.05": Pass(0, 0.05),
    "pass0.4-1": Pass(0.4, 1),
    "clamp0.2": Clamp(0.2),
    "clamp0.05-1": Clamp(1, low=0.05),
    "pass0-0.1_bychannel": Pass(0, 0.1, of="channel"),
    "clamp0.6_bychannel": Clamp(0.6, of="channel"),
    "raw": Raw(),
}


@pytest.mark.parametrize("name", NAMES)
def test_filters_come_back_from_their_names(name):
    assert filter_named(name) == NAMES[name]
    assert NAMES[name].name == name


@pytest.mark.parametrize(
    "name", ["", "pass", "pass0.1", "pass0.5-0.1", "pass0-2", "pass0-0.10", "clamp0", "clamp1.5", "clampx"]
)
def test_other_names_are_no_filters(name):
    assert filter_named(name) is None


FILTERED_NAMES = {
    "lrp_composite_zplus_box_l0_h1_pass0-0.05": Filtered(CORRECT, (Pass(0, 0.05),)),
    "lrp_composite_zplus_box_l0_h1_clamp0.2+raw+pass0-0.1_bychannel": Filtered(
        CORRECT, (Clamp(0.2), Raw(), Pass(0, 0.1, of="channel"))
    ),
    "lrp_tjoa_clamp0.2-paper": Filtered(PUBLISHED, (Clamp(0.2),)),
    "lrp_tjoa_first-head_skip-legacy_clamp0.2": Filtered(Tjoa(first="head", skip="legacy"), (Clamp(0.2),)),
    "lrp_epsilon_e0.01_clamp0.2@out@cat[1]": Filtered(Epsilon(0.01), (Clamp(0.2),), ("out", "cat[1]")),
    "lrp_tjoa-paper": PUBLISHED,
    "lrp_tjoa_start-both": Tjoa(start="both"),
    "lrp_zbox_l0_h1_published": explainer("lrp_zbox_l0_h1_published").rule,  # type: ignore[attr-defined]
    "lrp_wplus_signed": explainer("lrp_wplus_signed").rule,  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("name", FILTERED_NAMES)
def test_filtered_explainers_come_back_from_their_names(name):
    found = explainer(name)
    assert found.name == name
    assert found.rule == FILTERED_NAMES[name]  # type: ignore[attr-defined]


UNKNOWN = ["lrp_tjoa", "lrp_tjoa_first-correct", "lrp_tjoa_first-last", "lrp_tjoa_clamp0.2", "lrp_epsilon-paper"]


@pytest.mark.parametrize("name", [*UNKNOWN, "lrp_epsilon_clamp2", "lrp_clamp0.2", "lrp_tjoa_skip-legacy_first-head"])
def test_unknown_names_are_refused(name):
    with pytest.raises(ValueError, match="is unknown"):
        explainer(name)


def network(levels: int = 3) -> tuple[UNet3d, Tensor, Tensor]:
    torch.manual_seed(5)
    model = UNet3d(2, 2, width=2, levels=levels).double().eval()
    nn.init.constant_(model.out.bias[1], 5)
    return model, torch.rand(2, 2, 9, 8, 9, dtype=torch.float64), torch.ones(2, dtype=torch.int64)


def test_the_papers_network_has_its_fifteen_points():
    expected = "score out cat_2[1] cat_2[0] ups.2 cat_1[1] cat_1[0] ups.1 cat[1] cat[0] ups.0"
    encoders = [f"encoders.{level}.0" for level in (3, 2, 1, 0)]
    assert filter_points(network(4)[0]) == (*expected.split(), *encoders)
    assert filter_points(UNet3d(6, 2, width=2, head="paper")) == (*expected.split(), *encoders)


@pytest.mark.parametrize("levels", [2, 3])
def test_other_depths_have_four_points_a_level_less_one(levels):
    points = filter_points(network(levels)[0])
    assert len(points) == 4 * levels - 1
    assert {point.partition("[")[0] for point in points[1:]} <= set(layer_names(network(levels)[0]))


def test_a_chain_without_skips_has_points_too():
    model = nn.Sequential(
        nn.Conv1d(2, 3, 3), nn.ReLU(), nn.Conv1d(3, 3, 3), nn.MaxPool1d(2), nn.Conv1d(3, 3, 1), nn.Flatten()
    )
    model.append(nn.Linear(6, 2))
    assert filter_points(model) == ("score", "6", "4", "0")


def test_one_filter_stands_at_every_point_as_many_do():
    model, inputs, targets = network()
    everywhere = Filtered(CORRECT, (Clamp(0.2),))
    points = filter_points(model)
    by_point = Filtered(CORRECT, (Clamp(0.2),) * len(points))
    by_name = Filtered(CORRECT, (Clamp(0.2),), points)
    raw = Filtered(CORRECT, (Raw(),))
    found = relevances(model, inputs, targets, [everywhere, by_point, by_name, raw, CORRECT])
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[3], found[4])
    assert (found[0] - found[4]).abs().max() > 0.01 * found[4].abs().max()


def test_mixed_filters_stand_where_they_are_put():
    model, inputs, targets = network()
    points = filter_points(model)
    for place in (0, 2, 3, len(points) - 1):
        mixed = [Raw(), *[Raw()] * (len(points) - 1)]
        mixed[place] = Clamp(0.1)  # type: ignore[call-overload]
        rules = [Filtered(CORRECT, tuple(mixed)), Filtered(CORRECT, (Clamp(0.1),), (points[place],)), CORRECT]
        one, other, plain = relevances(model, inputs, targets, rules)
        assert torch.equal(one, other)
        assert not torch.allclose(one, plain)


def test_a_filter_at_the_score_and_one_at_the_inputs():
    model, inputs, targets = network()
    last = filter_points(model)[-1]
    plain, first = relevances(model, inputs, targets, [CORRECT, Filtered(CORRECT, (Clamp(0.3),), (last,))])
    assert torch.equal(first, Clamp(0.3)(plain))
    (silent,) = relevances(model, inputs, targets, [Filtered(CORRECT, (Pass(0, 1),), ("score",))])
    assert torch.equal(silent, plain)


def test_a_sweep_is_its_settings_one_by_one():
    model, inputs, targets = network(2)
    rules = [CORRECT, *(Filtered(CORRECT, (each,)) for each in SWEEP)]
    for rule, found in zip(rules, relevances(model, inputs, targets, rules), strict=True):
        (alone,) = relevances(model, inputs, targets, [rule])
        torch.testing.assert_close(found, alone, rtol=1e-9, atol=1e-12)


def test_rows_that_walk_apart_are_those_that_walk_together(monkeypatch):
    from xai.methods.lrp import graph_descent

    model, inputs, targets = network(2)
    rules = [CORRECT, *(Filtered(CORRECT, (each,)) for each in SWEEP[:4])]
    together = relevance_runs(model, inputs, targets, rules)
    monkeypatch.setattr(graph_descent, "VALUES_IN_MEMORY", 1)
    for one, other in zip(relevance_runs(model, inputs, targets, rules), together, strict=True):
        torch.testing.assert_close(one.relevance, other.relevance, rtol=1e-9, atol=1e-12)
        assert (one.account.layer == other.account.layer).all()


@pytest.mark.parametrize(
    "keep", [Pass(0, 0.4), Pass(0.1, 1), Clamp(0.2), Clamp(0.5, low=0.1)], ids=lambda keep: keep.name
)
@pytest.mark.parametrize("rule", [CORRECT, PUBLISHED], ids=lambda rule: rule.name)
def test_what_filters_take_is_in_the_account(keep, rule):
    model, inputs, targets = network()
    (run,) = relevance_runs(model, inputs, targets, [Filtered(rule, (keep,))])
    account = run.account
    kept = account.bias + account.epsilon + account.filtered
    scale = account.relevance_in.abs().max()
    assert (account.relevance_in - account.relevance_out - kept).abs().max() < 1e-9 * scale
    points = {point.partition("[")[0] for point in filter_points(model)}
    assert (account.filtered[~account.layer.isin(points)] == 0).all()
    assert account.filtered[account.layer.isin(points)].abs().max() > 1e-3
    score = account.relevance_in[account.layer == "score"].to_numpy()
    by_sample = torch.from_numpy(kept.groupby(account["sample"]).sum().to_numpy())
    difference = run.relevance.sum((1, 2, 3, 4)) + by_sample - torch.from_numpy(score.copy())
    assert difference.abs().max() < 1e-8 * scale


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Pass(0.5, 0.5), r"^low is 0.5 and high 0.5; expected parts of the maximum, 0 <= low < high <= 1\.$"),
        (lambda: Clamp(1.5), r"^low is 0.0 and high 1.5; expected parts of the maximum"),
        (lambda: Clamp(float("nan")), r"^low is 0.0 and high nan; expected parts of the maximum"),
        (lambda: Pass(0, 1, of="voxel"), r"^of is 'voxel'; expected 'tensor' or 'channel'\.$"),  # type: ignore[arg-type]
        (lambda: Filtered(CORRECT, ()), r"^filters is empty; expected one for all points, or one for each\.$"),
    ],
)
def test_bad_filters_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_too_few_filters_and_unknown_points_are_named():
    model, inputs, targets = network(2)
    with pytest.raises(
        ValueError, match=r"^filters holds 3; expected 1 or 7: score, out, cat\[1\], cat\[0\], ups\.0, enc"
    ):
        relevances(model, inputs, targets, [Filtered(CORRECT, (Raw(),) * 3)])
    with pytest.raises(
        ValueError, match=r"^points names 'dog'; expected a layer of the model: score, encoders\.0\.0, "
    ):
        relevances(model, inputs, targets, [Filtered(CORRECT, (Raw(),), ("dog",))])

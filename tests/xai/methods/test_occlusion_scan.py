"""Blocks of an image read as a scan line: the same as two-dimensional occlusion of the folded image."""

from __future__ import annotations

import pytest
import torch
from captum.attr import FeatureAblation
from captum.attr import Occlusion as CaptumOcclusion
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models.lstm import LSTMClassifier
from xai.methods import Occlusion, explainer, occluded
from xai.protocols import Classifier
from xai.scores import LOGIT, PROBABILITY


class Folded(nn.Module):
    """Takes images ``(sample, channel, row, column)`` and reads them row by row."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        return self.model(inputs.flatten(2))


class Opaque(nn.Module):
    """Hides everything but the call: the slow path of the same network."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        return self.model(inputs)


def network(channels: int, hidden: tuple[int, ...] = (5, 4)) -> LSTMClassifier:
    torch.manual_seed(3)
    model = LSTMClassifier(channels, 4, hidden).double().eval()
    with torch.no_grad():
        for layer in model.layers:
            layer.weight_hh_l0 *= 3  # long memories: errors must travel to be seen
            layer.bias_ih_l0.uniform_(-0.5, 0.5)
    return model


def attribute(how: Occlusion, model: Classifier, inputs: Tensor, targets: Tensor, **kwargs: object) -> Tensor:
    return how.attribute(model, inputs, targets, seeds=torch.arange(len(inputs)), **kwargs)


@given(
    rows=st.integers(3, 6),
    columns=st.integers(3, 6),
    channels=st.integers(1, 2),
    data=st.data(),
    value=st.sampled_from([0.0, 0.5, "mean", "mode"]),
    mode=st.sampled_from(["joint", "single"]),
    direction=st.sampled_from(["corrected", "paper"]),
    score=st.sampled_from([LOGIT, PROBABILITY]),
    most=st.sampled_from([1, 9, 60, 2048]),
    wrap=st.sampled_from([lambda model: model, Opaque]),
)
@settings(max_examples=40, deadline=None)
def test_equals_occlusion_of_the_folded_image(rows, columns, channels, data, value, mode, direction, score, most, wrap):
    width = data.draw(st.integers(1, rows)), data.draw(st.integers(1, columns))
    stride = data.draw(st.integers(1, width[0])), data.draw(st.integers(1, width[1]))
    model = network(channels)
    images = torch.randn(3, channels, rows, columns, dtype=torch.float64).mul(2).round().div(2)
    targets = torch.tensor([0, 3, 1])
    expected = attribute(Occlusion(width, stride, value, mode, direction), Folded(model), images, targets, score=score)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(occluded.ROWS_AT_ONCE, "cpu", most)
        how = Occlusion(width, stride, value, mode, direction, scan=columns)
        found = attribute(how, wrap(model), images.flatten(2), targets, score=score)
    torch.testing.assert_close(found, expected.flatten(2), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("width", "stride"), [((5, 5), (1, 1)), ((4, 3), (3, 2)), ((2, 7), (2, 5))])
@pytest.mark.parametrize("value", [0.0, 0.5])
@pytest.mark.parametrize("mode", ["joint", "single"])
def test_equals_captums(width, stride, value, mode):
    model, images, targets = network(2).float(), torch.randn(3, 2, 8, 9), torch.tensor([1, 0, 2])
    covered = 2 if mode == "joint" else 1
    theirs = CaptumOcclusion(Folded(model)).attribute(
        images, (covered, *width), strides=(1, *stride), baselines=value, target=targets, perturbations_per_eval=16
    )
    ours = attribute(Occlusion(width, stride, value, mode, scan=9), model, images.flatten(2), targets)
    assert ours.abs().max() > 1e-4
    torch.testing.assert_close(ours, theirs.flatten(2), rtol=0, atol=1e-6)


def test_channels_one_by_one_equal_captums_feature_masks():
    """Windows side by side, a feature per channel and window."""
    model, inputs, targets = network(3).float(), torch.randn(3, 3, 20), torch.tensor([1, 0, 2])
    mask = (torch.arange(20) // 5)[None, :] + 4 * torch.arange(3)[:, None]
    theirs = FeatureAblation(model).attribute(inputs, target=targets, feature_mask=mask[None])
    ours = attribute(Occlusion(5, 5, channels="single"), model, inputs, targets)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    assert not torch.allclose(ours[:, 0], ours[:, 1])


def test_prefix_states_are_used():
    model, calls = network(1), []
    model.register_forward_hook(lambda *_: calls.append(1))
    attribute(Occlusion((2, 2), scan=5), model, torch.randn(2, 1, 25, dtype=torch.float64), torch.tensor([0, 1]))
    assert not calls


def test_batch_mates_and_order_change_nothing():
    model, inputs, targets = network(1), torch.randn(5, 1, 36, dtype=torch.float64), torch.arange(5) % 4
    how = Occlusion((2, 3), 2, "mean", scan=6)
    together = attribute(how, model, inputs, targets)
    order = torch.tensor([4, 0, 2, 1, 3])
    torch.testing.assert_close(
        attribute(how, model, inputs[order], targets[order]), together[order], rtol=0, atol=1e-13
    )
    alone = [attribute(how, model, inputs[k : k + 1], targets[k : k + 1]) for k in range(5)]
    torch.testing.assert_close(torch.cat(alone), together, rtol=0, atol=1e-13)


def test_a_block_is_runs_of_pixels_one_row_apart():
    class Spy(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            seen.append(inputs)
            return inputs.flatten(1)[:, :2]

    seen: list[Tensor] = []
    attribute(Occlusion((5, 5), value=0.5, scan=28), Spy(), torch.ones(1, 1, 784), torch.tensor([0]))
    second = (torch.cat(seen)[2, 0] == 0.5).nonzero().flatten().tolist()
    assert second == [28 * row + column for row in range(5) for column in range(1, 6)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("occlusion_w5x5_scan28", Occlusion((5, 5), scan=28)),
        ("occlusion_w5x5_v0.5_scan28", Occlusion((5, 5), value=0.5, scan=28)),
        ("occlusion_w5x5_s2_v0.5_scan28_single-paper", Occlusion((5, 5), 2, 0.5, "single", "paper", 28)),
    ],
)
def test_names_read_as_documented(name, expected):
    assert explainer(name) == expected
    assert expected.name == name


@pytest.mark.parametrize("name", ["occlusion_w5x5_scan0", "occlusion_w5x5_scan", "occlusion_w5x5_scan28_v0.5"])
def test_other_names_are_none(name):
    with pytest.raises(ValueError, match="is unknown"):
        explainer(name)


def test_time_must_be_whole_rows_of_the_scan():
    with pytest.raises(ValueError, match=r"\(1, 1, 30\); expected .* multiple of the scan's 7 columns"):
        attribute(Occlusion((2, 2), scan=7), network(1), torch.randn(1, 1, 30), torch.tensor([0]))
    with pytest.raises(ValueError, match="expected \\(sample, channel, time\\)"):
        attribute(Occlusion((2, 2), scan=7), Folded(network(1)), torch.randn(1, 1, 7, 7), torch.tensor([0]))
    with pytest.raises(ValueError, match="scan is 0"):
        Occlusion((2, 2), scan=0)


def test_one_set_of_logits_serves_both_directions():
    model, inputs, targets = network(2), torch.randn(3, 2, 24, dtype=torch.float64), torch.tensor([0, 3, 1])
    corrected, paper = (Occlusion((2, 2), channels="single", direction=d, scan=6) for d in ("corrected", "paper"))
    logits = corrected.window_logits(model, inputs)
    assert logits.shape == (2, 1 + 3 * 5, 3, 4)
    for how in (corrected, paper):
        torch.testing.assert_close(how.attribution_of(logits, targets, inputs), attribute(how, model, inputs, targets))


def test_sums_over_the_points_of_each_window():
    windows = Occlusion((2, 3), (2, 2)).windows_on(torch.zeros(1, 1, 5, 6))
    values = torch.randn(4, 2, 5, 6)
    found = windows.sums(values)
    assert found.shape == (4, 2, *windows.counts)
    for number, span in enumerate(windows.slices()):
        expected = values[(..., *span)].sum((-2, -1))
        torch.testing.assert_close(found.flatten(2)[..., number], expected)

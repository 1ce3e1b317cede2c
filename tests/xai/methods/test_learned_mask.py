"""Learned masks against the optimisation written out in float64, on waves that are known, and as the paper prints."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from activations import Mean
from finding import POINTS, Finder, signals_with_waves
from hypothesis import given, settings
from hypothesis import strategies as st
from segmenters import GRID, segmenter, volumes
from torch import Tensor, nn

from xai.methods import Amplitude, LearnedMask, Random, explainer
from xai.methods.smoothing import smoothed
from xai.quality.localisation import relevance_mass, relevance_rank
from xai.scores import LOGIT, PROBABILITY

COUNT = 6
TARGETS = torch.ones(COUNT, dtype=torch.long)
SEEDS = torch.arange(COUNT)


class Steps(nn.Module):
    """A small network like the paper's: an LSTM over ten steps, whose last output a perceptron reads."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(POINTS // 10, 6, num_layers=2, batch_first=True)
        self.head = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.recurrent(inputs.reshape(len(inputs), 10, -1))[0][:, -1])


def _steps_network(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Steps().double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


def _explained(logits: Tensor, target: int, objective: str) -> Tensor:
    if objective == "probability":
        return logits.exp()[target] / logits.exp().sum()
    others = [logits[other] for other in range(len(logits)) if other != target]
    return logits[target] - torch.stack(others).max()


def _corrected(model: nn.Module, signal: Tensor, mask: Tensor, baseline: Tensor, target: int, objective: str) -> Tensor:
    neighbours = [(mask[step + 1] - mask[step]).abs() for step in range(len(mask) - 1)]
    shown = (1 - mask) * signal + mask * baseline
    score = _explained(model(shown.view(1, 1, -1))[0], target, objective)
    return mask.mean() + 0.1 * sum(neighbours) / len(neighbours) + score


def _printed(model: nn.Module, signal: Tensor, mask: Tensor, baseline: Tensor, target: int, objective: str) -> Tensor:
    neighbours = [(mask[step + 1] - mask[step]).abs() for step in range(len(mask) - 1)]
    shown = (1 - mask) * signal + baseline * (1 - mask)
    score = _explained(model(shown.view(1, 1, -1))[0], target, objective)
    return (1 - mask).sum() + 0.001 * sum(neighbours) + score


def _descended(value, start: float, rate: float, steps: int) -> tuple[float, Tensor]:
    """Adam as Kingma & Ba print it, each step brought back to [0, 1]; the objective in the end, and the mask."""
    mask = torch.full((POINTS,), start, dtype=torch.float64)
    first, second = torch.zeros_like(mask), torch.zeros_like(mask)
    for step in range(1, steps + 1):
        mask = mask.detach().requires_grad_()
        (slope,) = torch.autograd.grad(value(mask), mask)
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        change = first / (1 - 0.9**step) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
        mask = (mask - rate * change).detach().clamp(0, 1)
    return value(mask).item(), mask


@pytest.mark.parametrize(
    ("how", "value", "starts", "rate"),
    [
        (LearnedMask(steps=8), _corrected, (0.5, 0.7, 0.9), 0.05),
        (LearnedMask("margin", 0.5, steps=8, restarts=2), _corrected, (0.5, 0.9), 0.05),
        (LearnedMask(value="blur", steps=8, restarts=1), _corrected, (0.5,), 0.05),
        (LearnedMask(value=0.25, steps=8, form="paper"), _printed, (0.0,), 0.001),
    ],
)
def test_it_is_the_descent_written_out(how, value, starts, rate):
    model, (inputs, _) = _steps_network(), signals_with_waves(3)
    targets = torch.tensor([2, 0, 1])
    found = how.attribute(model, inputs, targets, seeds=SEEDS[:3])
    for sample in range(3):
        signal, target = inputs[sample, 0], int(targets[sample])
        baseline = smoothed(inputs, 0.05)[sample, 0] if how.value == "blur" else torch.full_like(signal, how.value)
        runs = [
            _descended(
                lambda mask: value(model, signal, mask, baseline, target, how.objective),  # noqa: B023 - used at once
                start,
                rate,
                how.steps,
            )
            for start in starts
        ]
        expected = min(runs, key=lambda run: run[0])[1]
        torch.testing.assert_close(found[sample, 0], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("how", [LearnedMask(steps=100), LearnedMask(value="smooth", steps=100)])
def test_it_finds_the_wave_that_the_network_looks_for_and_beats_the_controls(how):
    model, (inputs, evidence) = Finder(), signals_with_waves(COUNT)
    assert (model(inputs).softmax(1)[:, 1] > 0.9).all()
    found = how.attribute(model, inputs, TARGETS, seeds=SEEDS)
    assert found.min() >= 0
    assert found.max() <= 1
    inside = torch.stack([mask[where].mean() for mask, where in zip(found, evidence, strict=True)])
    outside = torch.stack([mask[~where].mean() for mask, where in zip(found, evidence, strict=True)])
    assert (inside > 5 * outside + 0.1).all()
    area = evidence.flatten(1).double().mean(1)
    for measure in (relevance_mass, relevance_rank):
        own = (measure(found, evidence) - area) / (1 - area)
        for control in (Random(), Amplitude()):
            noise = control.attribute(model, inputs, TARGETS, seeds=SEEDS)
            assert (own - (measure(noise, evidence) - area) / (1 - area)).mean() > 0.1
    deleted = (
        model(inputs * (1 - found)) if how.value == 0 else model(inputs - found * (inputs - smoothed(inputs, 0.01)))
    )
    assert (deleted.softmax(1)[:, 1] < 0.2).all()


def test_of_a_certain_network_only_a_later_start_moves_the_mask():
    model, (inputs, evidence) = Finder(gain=200), signals_with_waves(COUNT)
    one = LearnedMask(steps=60, restarts=1).attribute(model, inputs * 1.5, TARGETS, seeds=SEEDS)
    several = LearnedMask(steps=60).attribute(model, inputs * 1.5, TARGETS, seeds=SEEDS)
    assert one.max() == 0  # the probability is 1 at half of the input: nothing but the mask's size has a slope
    inside = torch.stack([mask[where].mean() for mask, where in zip(several, evidence, strict=True)])
    assert (inside > 0.2).all()


def test_the_form_of_the_paper_ends_at_one_number_everywhere():
    model, (inputs, evidence) = _steps_network(), signals_with_waves(2)
    found = LearnedMask(form="paper").attribute(model, inputs, TARGETS[:2], seeds=SEEDS[:2])
    assert found.std() < 1e-3
    assert found.mean().item() == pytest.approx(0.5, abs=1e-3)
    assert found[evidence].mean().item() == pytest.approx(found[~evidence].mean().item(), abs=1e-3)


@given(order=st.permutations(range(COUNT)), together=st.integers(1, COUNT))
@settings(max_examples=6, deadline=None)
def test_a_samples_mask_does_not_see_its_batch_nor_its_place(order, together):
    model, (inputs, _) = _steps_network(), signals_with_waves(COUNT)
    how, targets = LearnedMask(steps=15), torch.arange(COUNT) % 3
    whole = how.attribute(model, inputs, targets, seeds=SEEDS)
    mixed = torch.tensor(order)
    parts = [how.attribute(model, inputs[part], targets[part], seeds=part) for part in mixed.split(together)]
    torch.testing.assert_close(torch.cat(parts), whole[mixed], rtol=0, atol=1e-9)


def test_more_samples_than_are_learned_at_once(monkeypatch):
    model, (inputs, _) = _steps_network(), signals_with_waves(COUNT)
    whole = LearnedMask(steps=5).attribute(model, inputs, TARGETS, seeds=SEEDS)
    monkeypatch.setattr("xai.methods.learned_mask.ROWS_AT_ONCE", 7)
    torch.testing.assert_close(
        LearnedMask(steps=5).attribute(model, inputs, TARGETS, seeds=SEEDS), whole, rtol=0, atol=1e-9
    )


def test_a_sample_that_is_not_a_number_has_no_mask_and_spoils_no_other():
    model, (inputs, _) = _steps_network(), signals_with_waves(3)
    clean = LearnedMask(steps=5).attribute(model, inputs, TARGETS[:3], seeds=SEEDS[:3])
    spoilt = inputs.clone()
    spoilt[1] = torch.nan
    found = LearnedMask(steps=5).attribute(model, spoilt, TARGETS[:3], seeds=SEEDS[:3])
    assert found[1].isnan().all()
    torch.testing.assert_close(found[[0, 2]], clean[[0, 2]], rtol=0, atol=1e-9)


def test_where_the_baseline_is_the_input_nothing_is_worth_deleting():
    inputs = torch.full((1, 1, POINTS), 0.75, dtype=torch.float64)
    for value in (0.75, "smooth", "blur"):
        found = LearnedMask(value=value, steps=40).attribute(_steps_network(), inputs, TARGETS[:1], seeds=SEEDS[:1])
        assert found.max() == 0


def test_whatever_score_is_asked_for_the_mask_is_learned_by_its_own():
    model, (inputs, _) = _steps_network(), signals_with_waves(2)
    found = [
        LearnedMask(steps=5).attribute(model, inputs, TARGETS[:2], score=score, seeds=SEEDS[:2])
        for score in (LOGIT, PROBABILITY)
    ]
    assert torch.equal(*found)


def test_of_a_mean_of_members_the_mask_is_learned_on_the_mean():
    model, (inputs, _) = _steps_network(), signals_with_waves(2)
    how = LearnedMask(steps=5)
    expected = how.attribute(model, inputs, TARGETS[:2], seeds=SEEDS[:2])
    found = how.attribute(Mean(model, model), inputs, TARGETS[:2], seeds=SEEDS[:2])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_a_segmenter_has_a_mask_on_its_grid():
    found = LearnedMask(steps=2, restarts=2).attribute(segmenter(), volumes(1), TARGETS[:1], seeds=SEEDS[:1])
    assert found.shape == volumes(1).shape[:2] + GRID
    assert found.std() > 0


def test_it_runs_where_gradients_are_off_and_leaves_the_network_as_it_was():
    model, (inputs, _) = _steps_network(), signals_with_waves(2)
    with torch.inference_mode():
        found = LearnedMask(steps=3).attribute(model, inputs.clone(), TARGETS[:2], seeds=SEEDS[:2])
    assert not found.requires_grad
    assert not any(module.training for module in model.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_smoothing_is_a_mean_by_a_bell_whose_weights_sum_to_one():
    inputs, share = torch.randn(2, 1, 30, 8, generator=torch.Generator().manual_seed(0)).double(), 0.1
    found = smoothed(inputs, share).numpy()
    expected = inputs.numpy()
    for axis, points in ((2, 30), (3, 8)):
        rows = []
        for place in range(points):
            weights = np.exp(-(((np.arange(points) - place) / (share * points)) ** 2) / 2)
            rows.append(np.average(expected, axis=axis, weights=weights))
        expected = np.stack(rows, axis=axis)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@given(
    st.builds(
        LearnedMask,
        objective=st.sampled_from(["probability", "margin"]),
        value=st.floats(-1e6, 1e6) | st.integers(-3, 3) | st.sampled_from(["smooth", "blur"]),
        steps=st.integers(1, 999),
        restarts=st.integers(1, 9),
    )
    | st.builds(LearnedMask, value=st.floats(-9, 9), steps=st.integers(1, 999), form=st.just("paper"))
)
@settings(max_examples=100, deadline=None)
def test_every_mask_comes_back_from_its_name(how):
    assert explainer(how.name) == how


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("learned_mask", LearnedMask()),
        ("learned_mask_margin", LearnedMask("margin")),
        ("learned_mask_vblur", LearnedMask(value="blur")),
        ("learned_mask_margin_v0.5_n100_r1", LearnedMask("margin", 0.5, 100, 1)),
        ("learned_mask_n100-paper", LearnedMask(steps=100, form="paper")),
    ],
)
def test_names_read_as_documented(name, expected):
    assert explainer(name) == expected
    assert expected.name == name


@pytest.mark.parametrize(
    "name",
    [
        "learned_mask_",
        "learned_mask_n0",
        "learned_mask_n500",
        "learned_mask_vnan",
        "learned_mask_vmean",
        "learned_mask_r2-paper",
        "learned_mask_n5_margin",
        "learned_mask-paper_n5",
        "learned_masks",
    ],
)
def test_unknown_names_are_refused(name):
    with pytest.raises(ValueError, match=r"is unknown; .*learned_mask_n100"):
        explainer(name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objective": "logit"}, r"objective is 'logit'; expected one of \('probability', 'margin'\)"),
        ({"value": "mean"}, r"value is 'mean'; expected a finite number or one of \('smooth', 'blur'\)"),
        ({"value": float("inf")}, "value is inf; expected a finite number"),
        ({"steps": 0}, "steps is 0; expected 1 or more"),
        ({"restarts": 0}, "restarts is 0; expected 1 or more"),
        ({"form": "printed"}, r"form is 'printed'; expected one of"),
        ({"form": "paper", "restarts": 2}, "restarts is 2; the form of the paper has one start"),
    ],
)
def test_arguments_outside_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        LearnedMask(**arguments)

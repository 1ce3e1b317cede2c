"""What replaces a channel, that it depends on the sample alone, and what the score loses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from xai.methods import ablation as module
from xai.methods.ablation import Ablation, Kind, ablated_logits, local_effects
from xai.scores import LOGIT, PROBABILITY, ScoreOperator

KINDS: tuple[Kind, ...] = ("zero", "mean", "line_noise")
SEEDS = torch.tensor([5, 9, 1, 77])


def epochs(samples: int = 4, steps: int = 3000) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(samples, 3, steps, generator=generator) * torch.tensor([1.0, 2.0, 0.5])[:, None] + 0.3


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_channel_is_replaced_and_the_inputs_stay(kind: Kind) -> None:
    inputs = epochs()
    before = inputs.clone()
    changed = Ablation(kind).ablate(inputs, 1, SEEDS)
    assert torch.equal(inputs, before)
    assert torch.equal(changed[:, [0, 2]], inputs[:, [0, 2]])
    assert (changed[:, 1] != inputs[:, 1]).any(dim=1).all()


def test_zero_and_mean_are_constant() -> None:
    inputs = epochs()
    assert (Ablation("zero").ablate(inputs, 0, SEEDS)[:, 0] == 0).all()
    mean = Ablation("mean").ablate(inputs, 0, SEEDS)[:, 0]
    torch.testing.assert_close(mean, inputs[:, 0].mean(dim=1, keepdim=True).expand_as(mean))


@pytest.mark.parametrize(("rate", "mains", "seen"), [(256.0, 50.0, 50.0), (256.0, 60.0, 60.0), (100.0, 60.0, 40.0)])
def test_line_noise_hums_at_the_mains_with_the_channels_deviation(rate: float, mains: float, seen: float) -> None:
    inputs = epochs()
    noise = Ablation("line_noise", rate, mains).ablate(inputs, 1, SEEDS)[:, 1].double()
    torch.testing.assert_close(noise.std(dim=1, correction=0), inputs[:, 1].double().std(dim=1, correction=0))
    torch.testing.assert_close(noise.mean(dim=1), torch.zeros(4, dtype=torch.float64), atol=1e-6, rtol=0)
    power = torch.fft.rfft(noise).abs() ** 2
    peak = power.argmax(dim=1)
    torch.testing.assert_close(peak * rate / 3000, torch.full((4,), seen), atol=rate / 3000, rtol=0)
    # A hum between two bins of the spectrum spreads over its neighbours.
    beside = torch.stack(
        [row[max(0, at - 20) : at + 21].sum() / row.sum() for row, at in zip(power, peak, strict=True)]
    )
    assert ((beside > 0.4) & (beside < 0.6)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_samples_replacement_does_not_depend_on_its_batch(kind: Kind) -> None:
    inputs = epochs()
    whole = Ablation(kind).ablate(inputs, 2, SEEDS)
    assert torch.equal(Ablation(kind).ablate(inputs[2:3], 2, SEEDS[2:3]), whole[2:3])
    assert torch.equal(Ablation(kind).ablate(inputs.flip(0), 2, SEEDS.flip(0)), whole.flip(0))


def test_noise_differs_by_seed_and_channel() -> None:
    inputs = epochs(1).expand(2, -1, -1)
    noise = [Ablation("line_noise").ablate(inputs, channel, torch.tensor([1, 2]))[:, channel] for channel in (0, 2)]
    assert not torch.allclose(noise[0][0], noise[0][1])
    correlation = torch.corrcoef(torch.stack([noise[0][0], noise[1][0]]))[0, 1]
    assert correlation.abs() < 0.99


@pytest.fixture
def model() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Sequential(nn.Conv1d(3, 4, 5), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 5))


@pytest.mark.parametrize("score", [LOGIT, PROBABILITY], ids=lambda score: score.name)
def test_local_effects_are_the_falls_of_the_score(model: nn.Module, score: ScoreOperator) -> None:
    inputs, targets, ablation = epochs(steps=60), torch.tensor([0, 4, 2, 1]), Ablation("line_noise")
    found = local_effects(ablated_logits(model, inputs, ablation, SEEDS), targets, score)
    assert found.shape == (4, 3)
    for sample in range(4):
        for channel in range(3):
            one, seeds = inputs[sample : sample + 1], SEEDS[sample : sample + 1]
            logits = [model(rows).detach() for rows in (one, ablation.ablate(one, channel, seeds))]
            values = [row.softmax(dim=1) if score == PROBABILITY else row for row in logits]
            expected = (values[0] - values[1])[0, targets[sample]]
            torch.testing.assert_close(found[sample, channel], expected, atol=1e-6, rtol=1e-4)


def test_a_channel_that_the_network_ignores_has_no_effect() -> None:
    def loud(inputs: Tensor) -> Tensor:
        return torch.stack([inputs[:, 0].square().mean(dim=1), inputs[:, 1].square().mean(dim=1)], dim=1)

    found = local_effects(ablated_logits(loud, epochs(), Ablation("zero"), SEEDS), torch.tensor([0, 0, 1, 1]))
    assert (found[:, 2] == 0).all()
    assert (found[:2, 0] > 0).all()
    assert (found[2:, 0] == 0).all()


def test_batches_of_any_size_give_the_same(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = epochs(steps=60)
    whole = ablated_logits(model, inputs, Ablation("line_noise"), SEEDS)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 3)
    torch.testing.assert_close(ablated_logits(model, inputs, Ablation("line_noise"), SEEDS), whole)


def test_what_it_is_not_is_refused() -> None:
    assert Ablation("line_noise").name == "ablation_line_noise"
    with pytest.raises(ValueError, match="kind is 'noise'"):
        Ablation("noise")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected positive hertz"):
        Ablation("line_noise", rate=0)

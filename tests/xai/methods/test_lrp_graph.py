"""LRP through whole networks: what the graph brings, whatever the layers are made of."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sleep_network import SleepNetwork, trained_looking
from torch import Tensor, nn
from torch.nn import functional

from models.sleep_cnn import SleepCNN
from xai.methods import explainer
from xai.methods.lrp import (
    EPSILON_PLUS_FLAT,
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    WSquare,
    ZBox,
    descent,
    layer_names,
    patches,
    relevance_runs,
    relevances,
)
from xai.scores import LOGIT, PROBABILITY

RULES = [Epsilon(0.01), Epsilon(100), AlphaBeta(1, 0), AlphaBeta(2, 1), Gamma(0.25), EPSILON_PLUS_FLAT]


class SmallUNet(nn.Module):
    """A 3-D network with skips: pool, transposed and nearest upsampling, crop, pad, cat, a residual addition."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), nn.BatchNorm3d(4), nn.LeakyReLU(0.2, inplace=True))
        self.pool = nn.MaxPool3d(2)
        self.deep = nn.Conv3d(4, 4, 3, padding=1)
        self.up = nn.ConvTranspose3d(4, 4, 2, stride=2)
        self.smooth = nn.Conv3d(8, 4, 3, padding=1)
        self.out = nn.Conv3d(8, 2, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        high = self.down(inputs)
        low = self.pool(high)
        low = low + functional.relu(self.deep(low))
        up = functional.pad(self.up(low), (0, high.shape[4] - 2 * low.shape[4]))
        merged = torch.cat([up, high], dim=1)
        nearest = functional.interpolate(low, scale_factor=2)[..., : high.shape[4] - 1]
        nearest = functional.pad(nearest, (0, 1))
        return self.out(torch.cat([functional.relu(self.smooth(merged)), nearest], dim=1))


def volumes(samples: int = 2) -> tuple[SmallUNet, Tensor]:
    torch.manual_seed(7)
    model = SmallUNet().double().eval()
    norm = model.down[1]
    with torch.no_grad():
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        norm.weight.uniform_(0.5, 2)
    return model, torch.randn(samples, 2, 4, 4, 5, dtype=torch.float64)


def lesion_sum(outputs: Tensor, targets: Tensor) -> Tensor:
    """Sum of the lesion channel over the voxels predicted to be lesion."""
    lesion = outputs[:, 1]
    return (lesion * (lesion > outputs[:, 0]).to(lesion)).flatten(1).sum(1)


def test_a_u_net_accounts_for_all_relevance_of_its_lesion():
    model, inputs = volumes()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    score = lesion_sum(model(inputs), torch.zeros(2)).detach()
    for run in relevance_runs(model, inputs, torch.zeros(2), RULES, score=lesion_sum):
        account = run.account
        kept = account.bias + account.epsilon
        assert (account.relevance_in - account.relevance_out - kept).abs().max() < 1e-10
        lost = torch.from_numpy(kept.groupby(account["sample"]).sum().to_numpy())
        torch.testing.assert_close(run.relevance.flatten(1).sum(1) + lost, score, rtol=0, atol=1e-9)
        expected = ["score", "out", "smooth", "pad", "up", "add", "deep", "down.0"]
        assert sorted(set(account.layer) - {"pad_1"}) == sorted(expected)
        assert run.relevance.abs().sum() > 0
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_residual_addition_shares_by_contribution():
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.twice = nn.Linear(1, 1, bias=False)

        def forward(self, inputs: Tensor) -> Tensor:
            return torch.relu(inputs) + self.twice(inputs) + 1

    model = Residual().double()
    nn.init.constant_(model.twice.weight, 2)
    inputs = torch.tensor([[3.0]], dtype=torch.float64)
    (run,) = relevance_runs(model, inputs, torch.zeros(1, dtype=torch.int64), [Epsilon(1e-9)])
    assert run.relevance.item() == pytest.approx(9, rel=1e-5)  # of 10; the constant keeps 1
    assert run.account.bias.sum() == pytest.approx(1, rel=1e-5)


@given(samples=st.integers(1, 5), at_once=st.integers(1, 5), seed=st.integers(0, 100))
@settings(max_examples=10, deadline=None)
def test_batch_order_and_company_of_rules_change_nothing(samples, at_once, seed):
    model, inputs = volumes(samples)
    torch.manual_seed(seed)
    order, targets = torch.randperm(samples), torch.zeros(samples)
    whole = relevances(model, inputs, targets, RULES, score=lesion_sum)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(descent.VALUES_AT_ONCE, "cpu", at_once * len(RULES) * 800)
        cut = relevances(model, inputs[order], targets, RULES, score=lesion_sum)
    for place, rule in enumerate(RULES):
        (alone,) = relevances(model, inputs, targets, [rule], score=lesion_sum)
        for other in (cut[place][order.argsort()], alone):
            assert (other - whole[place]).abs().max() <= 1e-10 * whole[place].abs().max()


def test_single_precision_stays_close():
    model, inputs = volumes()
    exact = relevances(model, inputs, torch.zeros(2), RULES, score=lesion_sum)
    single = relevances(model.float(), inputs.float(), torch.zeros(2), RULES, score=lesion_sum)
    for rule, wide, narrow in zip(RULES, exact, single, strict=True):
        assert narrow.dtype == torch.float32
        assert (narrow - wide).abs().max() < 1e-5 * wide.abs().max(), rule.name


@pytest.mark.parametrize("rules", [RULES, [ZBox(-5, 5), WSquare(), Flat()]])
def test_the_sleep_network_gathers_below_its_global_pool_what_it_would_compute_densely(rules, monkeypatch):
    model, inputs = trained_looking(SleepNetwork()).double(), torch.randn(2, 3, 3000, dtype=torch.float64)
    assert sum(parameter.numel() for parameter in model.parameters()) == 255_061
    targets = torch.tensor([0, 3])
    gathered = relevance_runs(model, inputs, targets, rules)
    monkeypatch.setattr(patches, "SPARSE", 0.0)
    for found, dense in zip(gathered, relevance_runs(model, inputs, targets, rules), strict=True):
        largest = dense.relevance.abs().max()
        assert (found.relevance - dense.relevance).abs().max() < 1e-10 * largest
        columns = ["relevance_in", "relevance_out", "bias", "epsilon"]
        torch.testing.assert_close(
            torch.from_numpy(found.account[columns].to_numpy()), torch.from_numpy(dense.account[columns].to_numpy())
        )


@pytest.mark.parametrize("score", [LOGIT, PROBABILITY])
def test_explainers_walk_any_classifier_for_any_score(score):
    torch.manual_seed(8)
    model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3))
    inputs, targets = torch.randn(4, 2, 9), torch.tensor([0, 1, 2, 0])
    found = explainer("lrp_composite_epsilon_plus").attribute(model, inputs, targets, score=score, seeds=targets)
    (run,) = relevance_runs(model, inputs, targets, [explainer("lrp_composite_epsilon_plus").rule], score=score)
    assert torch.equal(found, run.relevance)
    assert run.account.layer.tolist()[:4] == ["score", "4", "2", "0"]
    first = run.account.groupby("sample").relevance_in.first()
    torch.testing.assert_close(torch.tensor(first.to_numpy()).float(), score(model(inputs), targets).detach())


def test_dropout_and_batch_norm_act_as_in_use_whatever_the_mode():
    model, inputs = volumes()
    model.pool = nn.Sequential(nn.Dropout3d(0.5), model.pool)
    expected = relevances(model, inputs, torch.zeros(2), RULES, score=lesion_sum)
    found = relevances(model.train(), inputs, torch.zeros(2), RULES, score=lesion_sum)
    assert model.training
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("before", [True, False])
def test_a_folded_norm_gives_the_relevance_of_the_one_map_that_it_is_part_of(before):
    torch.manual_seed(9)
    norm, linear = nn.BatchNorm1d(3 if before else 4).double().eval(), nn.Linear(3, 4).double()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    model = nn.Sequential(norm, linear) if before else nn.Sequential(linear, norm)
    inputs, targets = torch.randn(5, 3, dtype=torch.float64), torch.arange(5) % 4
    whole = nn.Linear(3, 4).double()
    with torch.no_grad():
        whole.bias.copy_(model(torch.zeros(1, 3).double())[0])
        whole.weight.copy_((model(torch.eye(3).double()) - whole.bias).t())
    expected = relevances(whole, inputs, targets, RULES)
    for one, other in zip(relevances(model, inputs, targets, RULES), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_a_norm_before_padding_is_left_alone_because_its_shift_does_not_reach_the_border():
    torch.manual_seed(9)
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Conv1d(2, 1, 3, padding=1), nn.Flatten()).double().eval()
    nn.init.normal_(model[0].bias)
    inputs, targets = torch.randn(3, 2, 5, dtype=torch.float64), torch.tensor([0, 4, 2])
    (run,) = relevance_runs(model, inputs, targets, [Epsilon()])
    logits = model(inputs).gather(1, targets[:, None])[:, 0].detach()
    torch.testing.assert_close(torch.from_numpy(run.account.relevance_in.to_numpy()[::2].copy()), logits)
    (after,) = relevances(model[1:], model[0](inputs).detach(), targets, [Epsilon()])
    torch.testing.assert_close(run.relevance, after)


def test_a_norm_beside_no_linear_map_passes_relevance():
    torch.manual_seed(10)
    model = nn.Sequential(nn.ReLU(), nn.BatchNorm1d(3), nn.ReLU()).double().eval()
    inputs = torch.rand(2, 3, dtype=torch.float64) + 1
    (found,) = relevances(model, inputs, torch.tensor([0, 2]), [Epsilon()])
    outputs = model(inputs).detach()
    torch.testing.assert_close(found, torch.tensor([[outputs[0, 0], 0, 0], [0, 0, outputs[1, 2]]]).double())


class Pieces(nn.Module):
    """Splits, maxima and additions in every form that the table knows."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6)

    def forward(self, inputs: Tensor) -> Tensor:
        one, two = self.first(inputs).chunk(2, dim=1)
        one, two = one.clone(), two.clone()
        one += two.relu_()
        best = one.unsqueeze(2).max(dim=2)[0] + torch.max(one.view(one.shape[0], 1, 3), dim=1).values
        return best.sub(two * 0.5).add_(inputs[:, :3])


def test_pieces_and_calls_in_place_give_their_relevance_back():
    torch.manual_seed(11)
    model, inputs = Pieces().double(), torch.randn(4, 6, dtype=torch.float64)
    (run,) = relevance_runs(model, inputs, torch.tensor([0, 1, 2, 0]), [Epsilon(1e-9)])
    kept = run.account.bias + run.account.epsilon
    assert (run.account.relevance_in - run.account.relevance_out - kept).abs().max() < 1e-9
    by_sample = torch.from_numpy(kept.groupby(run.account["sample"]).sum().to_numpy())
    scores = model(inputs.clone()).gather(1, torch.tensor([[0], [1], [2], [0]]))[:, 0].detach()
    torch.testing.assert_close(run.relevance.sum(1) + by_sample, scores, rtol=0, atol=1e-8)


def test_padding_keeps_what_reaches_its_constants():
    model = nn.Sequential(nn.ConstantPad1d((0, 2), 3.0))
    inputs = torch.ones(1, 1, 4)
    (run,) = relevance_runs(model, inputs, torch.zeros(1), [Epsilon()], score=lambda outputs, _: outputs.sum((1, 2)))
    assert run.relevance.sum() == 4
    assert run.account.bias.sum() == 6


class Branching(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs if inputs.sum() > 0 else -inputs


class Counting(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs / len(inputs)


class Product(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * inputs.flip(1)


class Two(nn.Module):
    def forward(self, inputs: Tensor, others: Tensor) -> Tensor:
        return inputs + others


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), r"^Layer '1' is a LayerNorm; LRP supports linear and "),
        (nn.Sequential(nn.Linear(4, 4), nn.Softmax(1)), r"^Layer '1' is a Softmax; LRP supports linear and "),
        (nn.GRU(4, 4), r"^Layer '0' is a GRU; LRP supports linear and "),
        (Counting(), r"^model Counting cannot be traced: .*; LRP expects no branch on its values\.$"),
        (Branching(), r"^model Branching cannot be traced: .*; LRP expects no branch on its values\.$"),
        (Product(), r"^Layer 'mul' multiplies or divides two signals; LRP supports one signal and constants there\.$"),
        (Two(), r"^model Two takes 2 inputs; LRP expects one tensor in and one tensor out\.$"),
        (torch.relu, r"^model is a builtin_function_or_method; LRP expects a torch\.nn\.Module\.$"),
    ],
)
def test_what_lrp_cannot_walk_is_named(model, sentence):
    with pytest.raises(ValueError, match=sentence):
        relevances(model, torch.randn(2, 4), torch.zeros(2, dtype=torch.int64), [Epsilon()])


def test_layers_have_the_names_that_modules_and_calls_have():
    assert layer_names(SmallUNet())[:6] == ["down.0", "down.1", "down.2", "pool", "deep", "relu"]
    again = nn.Linear(2, 2)
    assert layer_names(nn.Sequential(again, again)) == ["_0", "_0_1"]


@pytest.mark.parametrize("context", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_every_gradient_mode_gives_the_same_and_leaves_the_model_alone(context):
    model, inputs = volumes()
    expected = relevances(model, inputs, torch.zeros(2), RULES, score=lesion_sum)
    with context():
        leaf = inputs.clone().requires_grad_(context is torch.enable_grad)
        found = relevances(model, leaf, torch.zeros(2), RULES, score=lesion_sum)
    for one, other in zip(found, expected, strict=True):
        assert not one.requires_grad
        assert torch.equal(one, other)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_studys_own_network_is_walked_as_the_one_that_the_peers_know():
    peers, own = trained_looking(SleepNetwork()).double(), SleepCNN(channels=3, classes=5).double().eval()
    with torch.no_grad():
        for ours, theirs in zip(own.parameters(), peers.parameters(), strict=True):
            ours.copy_(theirs)
    inputs, targets = torch.randn(2, 3, 3000, dtype=torch.float64), torch.tensor([0, 4])
    rules = [Epsilon(0.01), AlphaBeta(1, 0)]
    for ours, theirs in zip(
        relevances(own, inputs, targets, rules), relevances(peers, inputs, targets, rules), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)

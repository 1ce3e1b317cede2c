"""The propagation of Tjoa et al. on the U-Net: module by module in plain torch, and what each of its defects does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.unet import UNet3d
from xai.methods import attribute_all, explainer
from xai.methods.lrp import (
    SWEEP,
    AnyRule,
    Clamp,
    Filtered,
    Pass,
    Propagation,
    Tjoa,
    WPlus,
    ZBox,
    relevance_runs,
    relevances,
    zplus_box,
)
from xai.methods.lrp.tjoa import PUBLISHED
from xai.protocols import RelevanceFilter
from xai.scores import LOGIT, OUTPUT_SUM

CORRECT = zplus_box(0, 1)
LESION = torch.ones(2, dtype=torch.int64)


def unet(levels: int = 3, head: str = "paper") -> UNet3d:
    """A small network whose norms do something."""
    torch.manual_seed(5)
    model = UNet3d(2, 2, width=2, levels=levels, head=head).double().eval()  # type: ignore[arg-type]
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm3d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.normal_(0, 0.5)
            layer.running_var.uniform_(0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 2)
            nn.init.normal_(layer.bias)
    if isinstance(model.out_norm, nn.BatchNorm3d):
        nn.init.constant_(model.out_norm.bias, 3)  # so that the ReLU on the logits lets some through
    else:
        nn.init.constant_(model.out.bias[1], 5)  # so that some voxels are lesion
    return model


def volumes(samples: int = 2) -> Tensor:
    torch.manual_seed(6)
    return torch.rand(samples, 2, 7, 8, 9, dtype=torch.float64)


def quotient(layer: nn.Module, inputs: Tensor, relevance: Tensor) -> Tensor:
    """X * gradient of a copy of the layer with positive weights and no bias, as the authors' layers do."""
    leaf = inputs.detach().clone().requires_grad_()
    weight = layer.weight.detach().clamp(min=0)  # type: ignore[operator, union-attr]
    if isinstance(layer, nn.ConvTranspose3d):
        outputs = functional.conv_transpose3d(leaf, weight, stride=layer.stride)
    else:
        assert isinstance(layer, nn.Conv3d)
        outputs = functional.conv3d(leaf, weight, padding=layer.padding)
    (share,) = torch.autograd.grad(outputs, leaf, relevance / (outputs.detach() + 1e-9))
    return inputs * share


def first_quotient(layer: nn.Conv3d, inputs: Tensor, relevance: Tensor, version: str) -> Tensor:
    """Z-box of [0, 1]: the terms of x, of the lower bound and of the upper one, each by its weights."""
    above, below = layer.weight.detach().clamp(min=0), layer.weight.detach().clamp(max=0)
    weights = {"published": (above, above, above), "head": (above, above, below)}[version]
    leaves = [leaf.clone().requires_grad_() for leaf in (inputs, torch.zeros_like(inputs), torch.ones_like(inputs))]
    parts = [functional.conv3d(leaf, weight, padding=1) for leaf, weight in zip(leaves, weights, strict=True)]
    total = parts[0] - parts[1] - parts[2]
    denominator = total.detach() + 1e-6 * torch.where(total.detach() >= 0, 1.0, -1.0)
    shares = torch.autograd.grad(total, leaves, relevance / denominator)
    return sum((leaf * share for leaf, share in zip(leaves, shares, strict=True)), torch.zeros_like(inputs)).detach()


class Paper:
    """The authors' propagation, level by level; ``keep`` is applied where they filter."""

    def __init__(self, model: UNet3d, inputs: Tensor, keep: RelevanceFilter | None = None, first: str = "published"):
        self.model, self.first, self.keep = model, first, keep or (lambda relevance: relevance)
        self.met: dict[nn.Module, Tensor] = {}
        hooks = [
            layer.register_forward_hook(lambda layer, given, _: self.met.update({layer: given[0].detach()}))
            for layer in model.modules()
        ]
        self.outputs = model(inputs).detach()
        for hook in hooks:
            hook.remove()

    def relevance(self) -> Tensor:
        model = self.model
        here = self.keep(self.outputs)
        here = self.keep(quotient(model.out, self.met[model.out], here))
        skips = []
        for step in reversed(range(len(model.ups))):
            here = self.block(model.decoders[step], here)
            width = here.shape[1] - model.ups[step].out_channels
            here = here[:, width:]
            skips.append(self.keep(here[:, :width]))
            here = self.keep(here)
            up = model.ups[step]
            before = self.met[up]
            missing = [2 * size - have for size, have in zip(before.shape[2:], here.shape[2:], strict=True)]
            here = functional.pad(here, [0, missing[2], 0, missing[1], 0, missing[0]])
            here = self.keep(quotient(up, before, here))
        here = self.keep(self.block(model.encoders[-1], here))
        for level in reversed(range(len(model.pools))):
            pooled = self.pool(model.pools[level], here)
            here = 0.5 * skips[level] + 0.5 * pooled
            here = self.keep(self.block(model.encoders[level], here))
        return here

    def block(self, block: nn.Module, relevance: Tensor) -> Tensor:
        first, _, _, second, _, _ = block.children()
        assert isinstance(first, nn.Conv3d)
        relevance = quotient(second, self.met[second], relevance)
        if first is next(self.model.encoders[0].children()):
            return first_quotient(first, self.met[first], relevance, self.first)
        return quotient(first, self.met[first], relevance)

    def pool(self, pool: nn.Module, relevance: Tensor) -> Tensor:
        leaf = self.met[pool].clone().requires_grad_()
        (winners,) = torch.autograd.grad(pool(leaf), leaf, relevance)
        return winners


def gap(found: Tensor, expected: Tensor) -> float:
    """Largest difference, in units of the largest relevance."""
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("first", ["published", "head"])
@pytest.mark.parametrize("levels", [2, 3])
def test_all_defects_together_are_the_paper_module_by_module(levels, first):
    model, inputs = unet(levels), volumes()
    (found,) = relevances(model, inputs, LESION, [replace(PUBLISHED, first=first)])
    expected = Paper(model, inputs, first=first).relevance()
    assert expected.abs().amax((1, 2, 3, 4)).min() > 1e-3
    assert gap(found, expected) < 1e-9


@pytest.mark.parametrize(
    "keep", [Pass(0, 0.4), Pass(0.05, 1), Clamp(0.2), Clamp(0.5, low=0.1), Pass(0, 0.6, of="channel")]
)
def test_filters_stand_where_the_paper_puts_them(keep):
    model, inputs = unet(), volumes()
    (found,) = relevances(model, inputs, LESION, [Filtered(PUBLISHED, (keep,))])
    each = [Paper(model, one[None], keep).relevance() for one in inputs]  # a maximum is a sample's own
    for one, expected in zip(found, each, strict=True):
        assert gap(one[None], expected) < 1e-9


def test_put_right_nothing_is_kept_but_by_biases_and_stabilisers_and_the_account_says_so():
    model, inputs = unet(head="logits"), volumes()
    (run,) = relevance_runs(model, inputs, LESION, [CORRECT])
    score = LOGIT(model(inputs), LESION).detach()
    assert score.abs().min() > 1
    kept = run.account.bias + run.account.epsilon
    assert (run.account.relevance_in - run.account.relevance_out - kept).abs().max() < 1e-9
    by_sample = torch.from_numpy(kept.groupby(run.account["sample"]).sum().to_numpy())
    torch.testing.assert_close(run.relevance.sum((1, 2, 3, 4)) + by_sample, score, rtol=0, atol=1e-8)


def without_biases() -> UNet3d:
    """A network in which the relevance put right sums to the score."""
    model = unet(head="logits")
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm3d):
            nn.init.zeros_(layer.bias)
            nn.init.zeros_(layer.running_mean)  # type: ignore[arg-type]
        if isinstance(layer, nn.Conv3d) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return model


def test_put_right_the_relevance_sums_to_the_score_and_by_the_legacy_skip_it_does_not():
    model, inputs = without_biases(), volumes()
    right, legacy = relevances(model, inputs, LESION, [CORRECT, Tjoa(skip="legacy")])
    score = LOGIT(model(inputs), LESION).detach()
    assert score.abs().min() > 1
    assert (
        (right.sum((1, 2, 3, 4)) - score).abs() / score.abs()
    ).max() < 0.02  # units that only negative products reach
    assert ((legacy.sum((1, 2, 3, 4)) - score).abs() / score.abs()).min() > 0.2


def test_the_legacy_skip_discards_what_the_skip_is_due():
    """With decoders that read the skips alone all relevance goes there; by the legacy propagation none arrives."""
    model, inputs = without_biases(), volumes()
    with torch.no_grad():
        for decoder, up in zip(model.decoders, model.ups, strict=True):
            decoder[0].weight[:, -up.out_channels :] = 0  # type: ignore[index, operator]
    right, legacy = relevances(model, inputs, LESION, [CORRECT, Tjoa(skip="legacy")])
    assert right.abs().amax((1, 2, 3, 4)).min() > 1e-3
    assert not legacy.any()


def test_the_account_of_the_legacy_skip_balances():
    model, inputs = unet(head="logits"), volumes()
    (run,) = relevance_runs(model, inputs, LESION, [Tjoa(skip="legacy")])
    account = run.account
    assert (account.relevance_in - account.relevance_out - account.bias - account.epsilon).abs().max() < 1e-9
    assert account.bias[account.layer.isin(["cat", "cat_1", "pools.0", "pools.1"])].abs().min() > 1e-9


def test_the_published_first_layer_marks_what_is_dark():
    """Around a bright block relevance lies outside; put right, inside."""
    torch.manual_seed(7)
    layer = nn.Sequential(nn.Conv3d(1, 8, 3, padding=1, bias=False)).double()
    inputs = torch.zeros(1, 1, 10, 10, 10, dtype=torch.float64)
    inputs[:, :, 3:7, 3:7, 3:7] = 0.9
    inside = inputs[0, 0] > 0

    def ones(outputs: Tensor, _: Tensor) -> Tensor:
        """A score that gives every output the relevance 1."""
        return (outputs / outputs.detach()).flatten(1).sum(1)

    rules = [ZBox(0, 1), ZBox(0, 1, "published")]
    with torch.no_grad():
        layer[0].weight[:] = layer[0].weight.abs() + 0.01  # so that no output is 0
    inputs += 1e-3
    right, published = (found[0, 0].abs() for found in relevances(layer, inputs, LESION[:1], rules, score=ones))
    assert right[inside].mean() > 2 * right[~inside].mean()
    assert published[~inside].mean() > 2 * published[inside].mean()


def test_the_published_first_layer_is_proportional_to_darkness():
    torch.manual_seed(8)
    layer = nn.Sequential(nn.Conv3d(2, 1, 1, bias=False)).double()
    nn.init.ones_(layer[0].weight)  # type: ignore[arg-type]
    both = torch.rand(2, 2, 3, 4, 5, dtype=torch.float64)
    (shares,) = relevances(layer, both, LESION * 0, [ZBox(0, 1, "published")], score=OUTPUT_SUM)
    dark = 1 - both
    expected = dark / dark.sum(1, keepdim=True) * both.sum(1, keepdim=True)
    torch.testing.assert_close(shares, expected, rtol=1e-4, atol=1e-6)


def test_signed_inputs_explode_where_positive_ones_do_not():
    """One output sums to almost nothing, though what it sees is large."""
    layer = nn.Sequential(nn.Linear(2, 1, bias=False)).double()
    nn.init.ones_(layer[0].weight)  # type: ignore[arg-type]
    inputs = torch.tensor([[1.0, -0.999]], dtype=torch.float64)
    rules: list[AnyRule] = [WPlus("signed"), WPlus("positive"), CORRECT.linear]
    signed, positive, products = relevances(layer, inputs, LESION[:1] * 0, rules, score=lambda out, _: out[:, 0] * 1000)
    assert signed.abs().max() > 500
    torch.testing.assert_close(positive, torch.tensor([[1.0, 0.0]], dtype=torch.float64))
    torch.testing.assert_close(products, torch.tensor([[1.0, 0.0]], dtype=torch.float64), rtol=1e-5, atol=1e-5)


def test_norms_as_the_identity_share_by_the_convolution_alone():
    """A norm turns the signs of a layer's outputs; what each input contributed to the convolution stays."""
    model = nn.Sequential(nn.Conv3d(2, 1, 1), nn.BatchNorm3d(1)).double().eval()
    nn.init.constant_(model[0].weight, 1)  # type: ignore[arg-type]
    nn.init.zeros_(model[0].bias)  # type: ignore[arg-type]
    nn.init.constant_(model[1].weight, -2)  # type: ignore[arg-type]
    inputs = torch.tensor([0.25, 0.75], dtype=torch.float64).view(1, 2, 1, 1, 1)
    (found,) = relevances(model, inputs, LESION[:1] * 0, [Tjoa(inputs="positive", norms="identity")])
    logit = float(model(inputs).detach())
    torch.testing.assert_close(found.flatten() / logit, inputs.flatten(), rtol=1e-4, atol=1e-6)


def test_relevance_starts_from_the_lesion_or_from_both_classes():
    model, inputs = without_biases(), volumes()
    right, both = relevances(model, inputs, LESION, [CORRECT, Tjoa(start="both")])
    (asked,) = relevances(model, inputs, LESION, [CORRECT], score=OUTPUT_SUM)
    assert torch.equal(both, asked)
    assert gap(right, both) > 0.1


SWITCHES = ["first-head", "first-published", "inputs-positive", "inputs-signed", "norms-identity", "skip-legacy"]


@pytest.mark.parametrize("switch", [*SWITCHES, "start-both"])
def test_every_single_switch_changes_the_map_and_has_its_name(switch):
    name, value = switch.split("-")
    method = explainer(f"lrp_tjoa_{switch}")
    assert method.rule == Tjoa(**{name: value})  # type: ignore[attr-defined, arg-type]
    model, inputs = unet(), volumes()
    right, changed = relevances(model, inputs, LESION, [CORRECT, Tjoa(**{name: value})])  # type: ignore[arg-type]
    assert gap(changed, right) > 1e-3


def test_the_paper_has_all_defects():
    assert explainer("lrp_tjoa-paper").rule == PUBLISHED  # type: ignore[attr-defined]
    assert PUBLISHED.propagation == Propagation("identity", "legacy")


def test_propagations_and_filters_asked_together_are_those_asked_alone_in_any_order_and_batch():
    model, inputs, seeds = unet(), volumes(3), torch.arange(3)
    base = "lrp_composite_zplus_box_l0_h1"
    names = [
        "lrp_tjoa-paper",
        base,
        f"{base}_clamp0.2",
        "lrp_tjoa_skip-legacy",
        "lrp_tjoa_pass0-0.4-paper",
        "lrp_epsilon",
    ]
    targets = torch.tensor([1, 0, 1])
    together = attribute_all([explainer(name) for name in names], model, inputs, targets, seeds=seeds)
    backwards = attribute_all([explainer(name) for name in names[::-1]], model, inputs, targets, seeds=seeds)
    for name in names:
        assert torch.equal(together[name], backwards[name])
        for sample in range(3):
            here = slice(sample, sample + 1)
            alone = explainer(name).attribute(model, inputs[here], targets[here], seeds=seeds[here])
            assert gap(together[name][here], alone) < 1e-8


def test_a_sweep_is_one_forward_pass():
    model, calls = unet(), []
    model.encoders[0][2].register_forward_hook(lambda _, given, __: calls.append(len(given[0])))  # type: ignore[index]
    rules = [CORRECT, *(Filtered(CORRECT, (each,)) for each in SWEEP)]
    assert len(relevances(model, volumes(1), LESION[:1], rules)) == 16
    assert calls == [1]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Tjoa(), r"^No switch is set; expected one at least, or zplus_box\(0, 1\) for LRP put right\.$"),
        (lambda: Tjoa(skip="mean"), r"^skip is 'mean'; expected one of sum, legacy\.$"),  # type: ignore[arg-type]
        (lambda: ZBox(0, 1, "last"), r"^version is 'last'; expected one of correct, head, published\.$"),  # type: ignore[arg-type]
        (lambda: WPlus("all"), r"^inputs is 'all'; expected 'positive' or 'signed'\.$"),  # type: ignore[arg-type]
    ],
)
def test_other_values_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_legacy_skip_wider_than_the_rest_is_refused():
    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv3d(1, 3, 1), nn.Conv3d(3, 2, 1)

        def forward(self, inputs: Tensor) -> Tensor:
            high = self.first(inputs)
            return torch.cat([high, self.second(high)], 1)

    with pytest.raises(ValueError, match=r"^Layer 'cat' joins 2 channels to 3 of a skip; legacy skips expect at least"):
        relevances(Wide(), torch.rand(1, 1, 2, 2, 2), LESION[:1], [Tjoa(skip="legacy")])

"""The nets of a version beside each other: how well each segments, how strong its relevance is, what it covers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import pandas as pd
import torch
from torch import Tensor, nn

from models.bundle import LESION
from xai.methods.lrp import Filtered, filter_points, relevances, zplus_box
from xai.quality.agreement import mean_correlations, pair_correlations
from xai.quality.links import rank_link
from xai.quality.localisation import dice, inclusivity

from ..drawing.across_nets import against_dice
from .filter_sweep import cases_by_member
from .finding import Drawn, Finding
from .inspected import Inspected
from .subject_means import interval_text, subject_means

TEXT = """Tjoa et al. leave open whether the size of relevance, which normalised maps discard, tells how well a network
does, and whether networks agree. Each case is explained by LRP put right; the largest |R| is noted where the paper
filters, from the score (of any size) down to the input, together with the Dice score of the case and how much of the
truth is marked. Correlations are over the cases of a net, by rank. Agreement is the rank correlation of two nets' maps
of one case, mean over cases; a net that has seen the case in training explains it too."""
RULE = zplus_box(0, 1)


@dataclass
class _Recorder:
    """A filter that changes nothing and notes the largest |R| of each sample, in the order in which they come."""

    point: str
    noted: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Never parsed: it is used here alone."""
        return f"recorder of {self.point}"

    def __call__(self, relevance: Tensor) -> Tensor:
        self.noted.extend(relevance.abs().flatten(1).amax(dim=1).tolist())
        return relevance


def inspect(looked: Inspected) -> Finding:
    """Amplitude by layer against Dice, D against Dice, and the agreement of nets case by case."""
    cases = pd.concat(
        [
            _of_member(looked, int(str(member)), rows)
            for member, rows in cases_by_member(looked, looked.samples).groupby("member")
        ],
        ignore_index=True,
    )
    by_net = cases.groupby("member").mean(numeric_only=True).reset_index()
    points = [str(name) for name in cases if str(name).startswith("max |R| ")]
    correlations = _correlations(cases, [*points, "inclusivity"])
    agreement = _agreement(looked)
    nets = by_net.assign(net=[f"net {member}" for member in by_net["member"]], series="this version")
    shown = {name: name for name in (points[0], points[-1])} | {"inclusivity": "D(relevance, truth)"}
    return Finding(
        title="Nets beside each other",
        text=TEXT,
        verdicts=(*_words(cases, correlations), *_agreement_words(agreement)),
        figures={
            "nets": Drawn(
                "Size of relevance and inclusivity against Dice, a point per net.",
                against_dice(nets, shown, title="Does relevance tell how well a net does?"),
            )
        },
        tables={"nets": by_net, "nets_by_case": cases, "amplitude_and_dice": correlations, "net_agreement": agreement},
    )


def _of_member(looked: Inspected, member: int, rows: pd.DataFrame) -> pd.DataFrame:
    """One row per case: Dice, D(relevance, truth) and the largest |R| at each point, on the network's grid."""
    network = looked.network(member)
    recorders = tuple(_Recorder(point) for point in filter_points(network))
    inputs, targets = looked.inputs(rows), looked.targets(rows)
    truth = torch.from_numpy(looked.cohort.evidence(rows["sample"].to_numpy()))
    (maps,) = relevances(network, inputs, targets, [Filtered(RULE, recorders)])
    amplitudes = {f"max |R| {each.point}": each.noted for each in recorders}
    return pd.DataFrame(
        {
            "member": member,
            "sample": rows["sample"].to_numpy(),
            "subject": rows["subject"].to_numpy(),
            "dice": _dice(network, inputs, truth).numpy(),
            "inclusivity": inclusivity(maps, truth.expand_as(maps)).numpy(),
            **amplitudes,
        }
    )


def _dice(network: nn.Module, inputs: Tensor, truth: Tensor) -> Tensor:
    """Dice ``(sample,)`` of what the network gives to the lesion; 0 where it gives nothing."""
    with torch.inference_mode():
        found = (network(inputs).argmax(dim=1, keepdim=True) == LESION).double()
    return dice(found, truth)


def _correlations(cases: pd.DataFrame, quantities: list[str]) -> pd.DataFrame:
    """One row per net and quantity: its rank correlation with Dice over the net's cases, see `Link`."""
    return pd.DataFrame(
        {"net": member, "quantity": name, **asdict(rank_link(rows[name].to_numpy(), rows["dice"].to_numpy()))}
        for member, rows in cases.groupby("member")
        for name in quantities
    )


def _agreement(looked: Inspected) -> pd.DataFrame:
    """Mean rank correlation of the maps of every two nets, over cases."""
    rows = looked.samples[looked.samples["thorough"]]
    inputs, targets = looked.inputs(rows), looked.targets(rows)
    ratings = {f"net {m}": relevances(looked.network(m), inputs, targets, [RULE])[0] for m in looked.members()}
    correlations = pair_correlations(ratings)
    return mean_correlations(correlations, rows["subject"].reset_index(drop=True))


def _words(cases: pd.DataFrame, correlations: pd.DataFrame) -> Iterator[str]:
    means = subject_means(cases.rename(columns={"dice": "value"}), ["member"])
    for _, row in means.iterrows():
        yield f"net {row['member']:.0f}: Dice {interval_text(row)} over {row['subjects']:.0f} cases"
    names = list(dict.fromkeys(correlations["quantity"]))
    for _, row in correlations[correlations["quantity"].isin([names[0], *names[-2:]])].iterrows():
        yield (
            f"net {row['net']}, {row['quantity']} against Dice: rank correlation over {row['subjects']} cases "
            f"{row['correlation']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}], p = {row['p']:.2g}"
        )


def _agreement_words(agreement: pd.DataFrame) -> Iterator[str]:
    for _, row in agreement.iterrows():
        yield f"{row['first']} and {row['second']} mark a case alike to {interval_text(row)} in rank correlation"

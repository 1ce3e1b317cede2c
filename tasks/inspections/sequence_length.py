"""Do gradients fare better on short sequences? The paper's remark, against occlusion, at several lengths."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from xai.quality.comparison import mean_table
from xai.quality.sequence_length import AGREEMENT, GRADIENTS, OCCLUSION, SPREAD, by_length, occlusion_for

from ..drawing.sequence_length import sequence_length
from .affordable import affordable, by_judge
from .finding import Drawn, Finding
from .inspected import Inspected
from .subject_means import interval_text, one_row, subject_means

SAMPLES = 60
WIDTH = 10
PARTS = (8, 4, 2, 1)
"""The lengths are the window's divided by these."""
PAPERS = "gradient_abs"
NAMES = tuple(how.name for how in GRADIENTS)
PROBABILITY = "excess deletion AUC (probability)"
EXCESS = "excess deletion AUC"
KEYS = ["quantity", "explainer", "length"]

TEXT = """The paper suspects that derivatives explain short sequences better, because the first-order approximation
is more suitable there. Here the same windows are cropped to {lengths} {steps} around their centre and explained and
scored at each length by the same network, which averages over steps and so takes any length; it was trained on the
whole window only, and normalisation is the whole window's. Excess deletion AUC: the area under the deletion curve
(baseline 0) of a gradient less that of occlusion (value 0, width {width}, at most half the length; a quarter of it
apart), paired within a sample; above 0 the gradient is less faithful. In logits it is divided by how far whole and
emptied input are apart, both averaged over the samples of a {kind}, because logits of short windows differ in scale;
in probability it is as it is. Linear agreement: the correlation, over windows, of the fall in logit that gradient x
input predicts with the actual one. The trend is the least-squares slope per doubling of the length of each {kind},
averaged over {kind}s. The remark is supported where the excess grows with length or the agreement falls, the
interval excluding 0."""


def inspect(looked: Inspected) -> Finding:
    """Excess deletion AUC of gradients over occlusion and linear agreement by length, with slopes per doubling."""
    rows = affordable(looked, SAMPLES)
    lengths = crop_lengths(looked.bundle.config.window)
    by_subject = pd.concat([_excess(scores := _scores(looked, rows, lengths)), _agreement(scores)], ignore_index=True)
    means = subject_means(by_subject, KEYS)
    slopes = _slopes(by_subject)
    return Finding(
        title="Do gradients fare better on short sequences?",
        text=TEXT.format(
            lengths=", ".join(map(str, lengths)),
            steps="pixels" if looked.cohort.image else "steps",
            width=WIDTH,
            kind=looked.cohort.subject_kind,
        ),
        verdicts=tuple(_words(looked, means, slopes)),
        figures={"sequence-length": _drawn(looked, means)},
        tables={"sequence_length": means, "sequence_length_slopes": slopes},
    )


def crop_lengths(window: int) -> list[int]:
    """The lengths that windows are cropped to, ascending; under 4 steps there is nothing to explain."""
    return sorted({window // part for part in PARTS if window // part >= 4})


def _scores(looked: Inspected, rows: pd.DataFrame, lengths: list[int]) -> pd.DataFrame:
    """One row per sample, length, explainer and metric, with the sample's subject."""
    origin = looked.cohort.manifest["origin"] or looked.bundle.config.window // 2
    tables = []
    for network, part in by_judge(looked, rows):
        found = by_length(
            network,
            looked.inputs(part),
            looked.targets(part),
            seeds=looked.seeds(part),
            lengths=lengths,
            origin=origin,
            width=WIDTH,
        )
        places = found["sample"].to_numpy()
        chosen = {name: part[name].to_numpy()[places] for name in ("sample", "subject")}
        tables.append(found.assign(**chosen))
    return pd.concat(tables, ignore_index=True)


def _excess(scores: pd.DataFrame) -> pd.DataFrame:
    """Area of each gradient less occlusion's on the same samples, by subject: columns `KEYS`, subject, value."""
    cells = ["subject", "length"]
    values = scores.set_index(["metric", "explainer", *cells, "sample"])["value"].sort_index()
    spread = values[SPREAD, ""].groupby(cells).mean()
    tables = []
    for name in NAMES:
        for metric, quantity in (("deletion_auc", EXCESS), ("deletion_auc_probability", PROBABILITY)):
            excess = (values[metric, name] - values[metric, OCCLUSION]).groupby(cells).mean()
            if metric == "deletion_auc":
                excess = excess / spread.where(spread > 0)
            tables.append(excess.rename("value").reset_index().assign(quantity=quantity, explainer=name))
    return pd.concat(tables)


def _agreement(scores: pd.DataFrame) -> pd.DataFrame:
    """Linear agreement by subject and length, in the columns of `_excess`."""
    rows = scores[scores["metric"] == AGREEMENT]
    means = rows.groupby(["explainer", "subject", "length"])["value"].mean().reset_index()
    return means.assign(quantity=AGREEMENT)


def _slopes(by_subject: pd.DataFrame) -> pd.DataFrame:
    """Slope per doubling of the length, fitted for each subject where all lengths are defined; mean and interval."""
    rows = []
    for (quantity, explainer), part in by_subject.groupby(["quantity", "explainer"], sort=False):
        table = part.pivot(index="subject", columns="length", values="value")
        doublings = np.log2(table.columns.to_numpy(dtype=float))
        weights = (doublings - doublings.mean()) / ((doublings - doublings.mean()) ** 2).sum()
        found = mean_table(pd.DataFrame({"slope": table.to_numpy() @ weights}, index=table.index))
        rows.append(found.drop(columns="explainer").assign(quantity=str(quantity), explainer=str(explainer)))
    table = pd.concat(rows, ignore_index=True)
    return table[["quantity", "explainer", "mean", "ci_low", "ci_high", "subjects", "undefined"]]


def judgement(quantity: str, slope: pd.Series) -> str:
    """Whether a slope per doubling with its interval speaks for the remark."""
    low, high = slope["ci_low"], slope["ci_high"]
    if not np.isfinite(low) or low <= 0 <= high:
        return "undecided"
    grows = low > 0
    return "supported" if grows == (quantity != AGREEMENT) else "not supported, it is the other way round"


def _words(looked: Inspected, means: pd.DataFrame, slopes: pd.DataFrame) -> Iterator[str]:
    kind, whole = looked.cohort.subject_kind, means["length"].max()
    shortest = means["length"].min()
    for quantity, explainer in ((EXCESS, PAPERS), (PROBABILITY, PAPERS), (AGREEMENT, "gradient_x_input")):
        slope = one_row(slopes, quantity=quantity, explainer=explainer)
        ends = [
            interval_text(one_row(means, quantity=quantity, explainer=explainer, length=length))
            for length in (shortest, whole)
        ]
        yield (
            f"gradients fare better on short sequences, {_named(quantity, explainer)}: "
            f"{judgement(quantity, slope)}; {interval_text(slope, 3)} per doubling of the length, from {ends[0]} at "
            f"{shortest} to {ends[1]} at {whole} steps ({slope['subjects']} {kind}s)"
        )


def _named(quantity: str, explainer: str) -> str:
    return "linear agreement" if quantity == AGREEMENT else f"{quantity} of {explainer} over occlusion"


def _drawn(looked: Inspected, means: pd.DataFrame) -> Drawn:
    caption = (
        "Top: deletion AUC of gradients less that of occlusion against the length of the window, above 0 the gradient "
        "is less faithful. Bottom: correlation of the falls in logit that the gradient predicts with the actual ones. "
        f"Means over {looked.cohort.subject_kind}s with 95 % intervals; occlusion width at most "
        f"{occlusion_for(looked.bundle.config.window, WIDTH).width}."
    )
    shown = {EXCESS: f"{EXCESS}\n(logit, share of the range)", PROBABILITY: f"{EXCESS}\n(probability)"}
    shown[AGREEMENT] = "linear agreement\n(correlation)"
    unit = "pixels" if looked.cohort.image else "steps"
    return Drawn(caption, sequence_length(means, shown, unit=unit, title="Gradient against occlusion by length"))

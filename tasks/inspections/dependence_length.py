"""Does the best occlusion width grow with the network's dependence length? The paper's claim as a fitted number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from xai.methods import Occlusion
from xai.protocols import PrefixClassifier
from xai.quality.dependence import (
    SHARE_OF_PEAK,
    Slope,
    best_width,
    dependence_curve,
    dependence_length,
    late_steps,
    slope_by_subject,
    with_forget_bias,
)
from xai.quality.measure import measure
from xai.quality.plan import QualityPlan

from ..drawing.dependence_length import dependence_length as draw
from .affordable import affordable, by_judge
from .finding import Drawn, Finding
from .inspected import Inspected

SAMPLES = 40
WIDTHS = (1, 5, 10, 20, 40, 80)
WIDEST_SHARE, MOST_WINDOWS = 1 / 5, 300
"""Only widths up to this share of the window, and of no more windows than this, are tried."""
SHIFTS = (-1.0, 0.0, 1.0)
"""Of the forget gate's bias: networks that forget sooner, as they were trained, and later."""
PLAN = QualityPlan(groups=("faithfulness",), baselines=("zero",), steps=8, tops=(0.5,))
FITS = {
    "all": "over all networks",
    "as trained": "over the networks as trained",
    "within": "within subjects, over networks",
}

TEXT = """The dependence length is the lag from which on the mean absolute gradient of a class's score at a step
with respect to the inputs before it stays under {share:.0%} of its peak, here for the true class, averaged over
channels and {outputs} output steps in the last quarter of the window, sample by sample. Where it does not fall so
far within the window it is unknown (censored), counted and left out. The best width is that of the lowest deletion
AUC (logit, baseline 0) of occlusion with value 0 among {widths} steps, placed between them by a parabola on
log(width), because the widths are about a constant ratio apart. A point is a {kind} and a network, means over its
samples (of log(length)): the judging member as trained, and twins of it whose forget gates' bias is moved by
{shifts}, so that length changes within the same {kind} and nothing is retrained. The claim that the occluded section
is "proportional to the temporal dependence length" is a slope of 1 of log(width) on log(length); the interval is
over {kind}s. Supported: the slope's interval lies above 0; not supported: it does not reach 1 while it holds 0, or
lies under 0; else undecided."""


def inspect(looked: Inspected) -> Finding:
    """Dependence lengths, best widths and the slope of one on the other, with its interval over subjects."""
    rows = affordable(looked, SAMPLES)
    widths = widths_for(looked.bundle.config.window)
    samples = pd.concat(list(_samples(looked, rows, widths)), ignore_index=True)
    points = _points(samples, widths)
    fits = _fits(points)
    steps = late_steps(looked.bundle.config.window)
    return Finding(
        title="Does the best occlusion width follow how far back the network looks?",
        text=TEXT.format(
            share=SHARE_OF_PEAK,
            outputs=len(steps),
            widths=", ".join(map(str, widths)),
            kind=looked.cohort.subject_kind,
            shifts=" and ".join(f"{shift:+.0f}" for shift in SHIFTS if shift),
        ),
        verdicts=tuple(_words(looked, samples, points, fits)),
        figures={"dependence-length": _drawn(looked, samples, points, fits)},
        tables={
            "dependence_length": _lengths(samples),
            "dependence_points": points,
            "dependence_slopes": fits,
        },
    )


def widths_for(window: int) -> tuple[int, ...]:
    """The widths tried on a window of so many steps."""
    return tuple(
        width
        for width in WIDTHS
        if width <= WIDEST_SHARE * window and (window - width) / _stride(width) + 1 <= MOST_WINDOWS
    )


def _stride(width: int) -> int:
    """A point lies in about four windows, whatever their width: the maps differ in width, not in detail."""
    return -(-width // 4)


def _samples(looked: Inspected, rows: pd.DataFrame, widths: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """One row per sample and network: its dependence curve, length, and deletion AUC by width."""
    steps = late_steps(looked.bundle.config.window)
    for judge, part in by_judge(looked, rows):
        inputs, targets = looked.inputs(part), looked.targets(part)
        for shift in SHIFTS:
            network = with_forget_bias(judge, shift) if shift else judge
            curves = dependence_curve(cast(PrefixClassifier, network), inputs, targets, steps)
            with torch.no_grad():
                right = network(inputs).argmax(1) == targets
            yield (
                part[["sample", "subject", "label", "member"]]
                .reset_index(drop=True)
                .assign(
                    forget_bias=shift,
                    right=right.numpy(),
                    length=dependence_length(curves).numpy(),
                    curve=list((curves / curves.amax(1, keepdim=True)).numpy()),
                    **_areas(network, inputs, targets, looked.seeds(part), widths),
                )
            )


def _areas(
    network: nn.Module, inputs: Tensor, targets: Tensor, seeds: Tensor, widths: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Deletion AUC ``(sample,)`` by column name of the width."""
    maps = {
        _column(width): Occlusion(width, _stride(width)).attribute(network, inputs, targets, seeds=seeds)
        for width in widths
    }
    scores = measure(network, inputs, targets, maps, PLAN, seeds=seeds).scores
    scores = scores[scores["metric"] == "deletion_auc"]
    return {name: scores.loc[scores["explainer"] == name, "value"].to_numpy() for name in maps}


def _column(width: int) -> str:
    return f"deletion_auc_w{width}"


def _points(samples: pd.DataFrame, widths: tuple[int, ...]) -> pd.DataFrame:
    """One row per subject and network: best width, whether it is the narrowest or widest, mean length.

    The length is NaN where most of the samples have none: the mean of the others would be too short.
    """
    keys = ["subject", "member", "forget_bias"]
    columns = [_column(width) for width in widths]
    table = samples.assign(log_length=np.log(samples["length"]), unknown=samples["length"].isna())
    points = table.groupby(keys, as_index=False).agg(
        samples=("sample", "size"),
        censored=("unknown", "sum"),
        log_length=("log_length", "mean"),
        **{name: (name, "mean") for name in columns},
    )
    best = [best_width(widths, row.tolist()) for row in points[columns].to_numpy()]
    known = points["censored"] <= points["samples"] / 2
    return points.assign(
        length=np.exp(points.pop("log_length")).where(known),
        width=[w for w, _ in best],
        at_edge=[edge for _, edge in best],
    )


def _fits(points: pd.DataFrame) -> pd.DataFrame:
    """The slope of log(width) on log(length) by what it is fitted over."""
    trained = points[points["forget_bias"] == 0]
    slopes = {"all": _slope(points), "as trained": _slope(trained), "within": _slope(points, within=True)}
    tried = {"all": len(points), "as trained": len(trained), "within": len(points)}
    return pd.DataFrame([{"fit": name, **vars(slope), "tried": tried[name]} for name, slope in slopes.items()])


def _slope(points: pd.DataFrame, *, within: bool = False) -> Slope:
    length, width = (np.log(points[name].to_numpy(dtype=float)) for name in ("length", "width"))
    return slope_by_subject(length, width, points["subject"].to_numpy(), within=within)


def _lengths(samples: pd.DataFrame) -> pd.DataFrame:
    """The dependence length of each network: median and quartiles over samples, how many are unknown, accuracy."""
    groups = samples.groupby(["member", "forget_bias"])
    return groups.agg(
        samples=("sample", "size"),
        censored=("length", lambda lengths: int(lengths.isna().sum())),
        median=("length", "median"),
        quartile_low=("length", lambda lengths: lengths.quantile(0.25)),
        quartile_high=("length", lambda lengths: lengths.quantile(0.75)),
        share_right=("right", "mean"),
    ).reset_index()


def judgement(fit: pd.Series) -> str:
    """What a row of the slopes says of the claim of proportion: supported, not supported or undecided."""
    low, high = fit["ci_low"], fit["ci_high"]
    if not np.isfinite(low) or fit["points"] < fit["tried"] / 2:
        return "undecided"
    if low > 0:
        return "supported" if low <= 1 <= high else "supported in direction, but not in proportion"
    return "not supported" if high < 1 else "undecided"


def _words(looked: Inspected, samples: pd.DataFrame, points: pd.DataFrame, fits: pd.DataFrame) -> Iterator[str]:
    kind, rate = looked.cohort.subject_kind, looked.cohort.sampling_rate
    for _, fit in fits.iterrows():
        words = FITS[fit["fit"]].replace("subject", kind)
        yield f"best width grows with dependence length, {words}: {judgement(fit)}; {_slope_text(fit, kind)}"
    yield _length_text(samples[samples["forget_bias"] == 0], samples, None if looked.cohort.image else rate)
    yield (
        f"the best width is the narrowest or the widest tried for {points['at_edge'].sum()} of {len(points)} points, "
        "where the true optimum may lie beyond"
    )


def _length_text(trained: pd.DataFrame, samples: pd.DataFrame, rate: float | None) -> str:
    median = trained["length"].median()
    seconds = f" ({median / rate:.3g} s)" if rate else ""
    known = f"median {median:.0f} steps{seconds}" if np.isfinite(median) else "no sample has one"
    return (
        f"dependence length of the networks as trained: {known}, unknown for {trained['length'].isna().sum()} of "
        f"{len(trained)} samples, whose gradient does not fall so far within the window; with all twins unknown for "
        f"{samples['length'].isna().sum()} of {len(samples)}"
    )


def _slope_text(fit: pd.Series, kind: str) -> str:
    if not np.isfinite(fit["slope"]):
        return f"no slope ({fit['points']} of {fit['tried']} points have a known length)"
    interval = (
        f"[{fit['ci_low']:.2f}, {fit['ci_high']:.2f}]" if np.isfinite(fit["ci_low"]) else "(too few for an interval)"
    )
    return (
        f"slope of log(width) on log(length) {fit['slope']:.2f} {interval}, {fit['subjects']} {kind}s, "
        f"{fit['points']} of {fit['tried']} points"
    )


def _drawn(looked: Inspected, samples: pd.DataFrame, points: pd.DataFrame, fits: pd.DataFrame) -> Drawn:
    curves = {
        float(str(shift)): np.nanmedian(np.stack(part["curve"].to_list()), axis=0)
        for shift, part in samples.groupby("forget_bias")
    }
    caption = (
        "Left: mean absolute gradient against the lag, each sample relative to its peak, median over samples, by "
        f"network; dashed: {SHARE_OF_PEAK:.0%} of the peak. Right: best occlusion width against dependence length, a "
        f"point per {looked.cohort.subject_kind} and network; hollow: the narrowest or widest width tried."
    )
    note = _slope_text(fits.iloc[0], looked.cohort.subject_kind)
    return Drawn(caption, draw(curves, points, share=SHARE_OF_PEAK, note=note, title="Dependence length"))

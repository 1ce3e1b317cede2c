"""What missing values cost: gaps of growing length in each channel and in all."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from xai.methods.missing_values import ALL_CHANNELS, gap_effects
from xai.quality.comparison import compare

from ..drawing.missing_values import missing_values
from .affordable import affordable, by_judge
from .finding import Drawn, Finding
from .inspected import Inspected
from .subject_means import interval_text, one_row, subject_means

SAMPLES = 100
SHARES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
"""Lengths of the gaps as shares of the window."""
QUANTITIES = ("logit", "probability", "changed")
ALL = "all channels"
KEYS = ["channel", "filled", "gap_steps", "gap_seconds", "quantity"]

TEXT = """Occlusion read as the effect of missing values: a gap of the given length is cut into one channel or into
all of them, at step 1 and then every half length, and its effect is averaged over these places, then over the
samples of a {kind}; intervals are over {kind}s. The gap holds 0 in normalised units (under a z-score: the window's
mean) or the last value before it, as a monitor would show. Measured are the fall of the true class's logit and
probability and the share of gaps that change the decision. {samples} samples of {kinds} {kind}s, each judged by a
network that never saw its {kind}."""


def inspect(looked: Inspected) -> Finding:
    """Effect of gaps by channel, length and filling, with intervals over subjects."""
    rows = affordable(looked, SAMPLES)
    effects = _effects(looked, rows)
    table = subject_means(effects, KEYS)
    return Finding(
        title="What do missing values do?",
        text=TEXT.format(kind=looked.cohort.subject_kind, samples=len(rows), kinds=rows["subject"].nunique()),
        verdicts=tuple(_words(looked, effects, table)),
        figures={"missing-values": _drawn(looked, table)},
        tables={"missing_values": table},
    )


def gap_lengths(steps: int) -> list[int]:
    """Lengths of the gaps in steps, ascending."""
    return sorted({max(1, round(share * steps)) for share in SHARES})


def _effects(looked: Inspected, rows: pd.DataFrame) -> pd.DataFrame:
    """One row per sample, channel, length, filling and quantity."""
    lengths = gap_lengths(looked.bundle.config.window)
    tables = []
    for network, part in by_judge(looked, rows):
        found = gap_effects(network, looked.inputs(part), looked.targets(part), lengths)  # type: ignore[arg-type]
        tables.append(found.assign(subject=part["subject"].to_numpy()[found["sample"]]))
    names = {ALL_CHANNELS: ALL, **dict(enumerate(looked.cohort.channels))}
    table = pd.concat(tables, ignore_index=True)
    table = table.assign(
        channel=table["channel"].map(names),
        gap_steps=table["length"],
        gap_seconds=table["length"] / looked.cohort.sampling_rate,
    )
    return table.melt([*KEYS[:-1], "subject"], QUANTITIES, "quantity", "value")


def _words(looked: Inspected, effects: pd.DataFrame, table: pd.DataFrame) -> Iterator[str]:
    kind = looked.cohort.subject_kind
    for steps in (table["gap_steps"].min(), table["gap_steps"].max()):
        for filled, words in (("zero", "set to 0"), ("held", "held at the last value")):
            cell = {"channel": ALL, "filled": filled, "gap_steps": steps}
            changed = one_row(table, **cell, quantity="changed")
            fall = one_row(table, **cell, quantity="probability")
            yield (
                f"a gap of {gap_text(looked, steps)} in {_everything(looked)}, {words}, changes the decision in "
                f"{interval_text(changed, percent=True)} of the places and takes {interval_text(fall)} off the true "
                f"class's probability ({changed['subjects']} {kind}s)"
            )
    if len(looked.cohort.channels) > 1:
        yield _costliest(looked, effects, table)


def gap_text(looked: Inspected, steps: int) -> str:
    """The length of a gap in its unit."""
    if looked.cohort.image:
        return f"{steps} pixels"
    return f"{steps / looked.cohort.sampling_rate:.3g} s"


def _everything(looked: Inspected) -> str:
    return ALL if len(looked.cohort.channels) > 1 else "the signal"


def _costliest(looked: Inspected, effects: pd.DataFrame, table: pd.DataFrame) -> str:
    """Which channel's gaps cost most logit at the middle length, set against each other channel (Holm)."""
    steps = sorted(set(table["gap_steps"]))[len(SHARES) // 2]
    cell = (effects["gap_steps"] == steps) & (effects["filled"] == "zero") & (effects["quantity"] == "logit")
    falls = effects[cell & (effects["channel"] != ALL)]
    by_subject = falls.groupby(["subject", "channel"])["value"].mean().unstack("channel")
    most = str(by_subject.mean().idxmax())
    pairs = [(most, str(name)) for name in by_subject if name != most]
    found = compare(by_subject, pairs, metric="logit", direction="higher")
    against = "; ".join(
        f"{row['second']} {interval_text(row.rename({'difference': 'mean'}))}"
        + ("" if row["winner"] == most else ", not shown")
        for _, row in found.iterrows()
    )
    return (
        f"at {gap_text(looked, steps)} set to 0, gaps in {most} cost the most logit, "
        f"{interval_text(one_row(table, channel=most, filled='zero', gap_steps=steps, quantity='logit'))}; "
        f"more than in {against} ({found['subjects'].min()} {looked.cohort.subject_kind}s, Holm)"
    )


def _drawn(looked: Inspected, table: pd.DataFrame) -> Drawn:
    unit = "pixels" if looked.cohort.image else "s"
    gap = "gap_steps" if looked.cohort.image else "gap_seconds"
    caption = (
        "Effect of gaps on the classification by channel and length of the gap; bands: 95 % intervals over "
        f"{looked.cohort.subject_kind}s. Left: gaps set to 0 in normalised units; right: last value held."
    )
    drawn = missing_values(
        table.assign(gap=table[gap]), unit=unit, kind=looked.cohort.subject_kind, title="Effect of missing values"
    )
    return Drawn(caption, drawn)

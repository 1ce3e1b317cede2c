"""What a version holds for the purest example of each class, and how far that lies from anything real."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from xai.methods.class_mode import ClassModes, ClassModeSearch, agreement, nearest
from xai.quality.comparison import mean_table
from xai.scores import PROBABILITY
from xai.seeding import normal

from ..drawing.class_modes import ShownModes, class_modes
from ..drawing.geometry import Geometry
from .finding import Drawn, Finding
from .inspected import Inspected

MEMBER = 0
"""Modes belong to one network; another member's differ as those of another start do."""
PENALTY = 0.3
PAPER, CORRECTED = "penalty on the sum (paper)", "penalty on the mean"
STARTS, FEWEST_STARTS, MOST_STEPS, STEPS_PER_WINDOW = 20, 3, 1000, 25
"""Starts of all classes together, of one class at least; steps at most, and by each of `Inspected.per_class`."""
USUAL_WINDOW = 216
"""Longer windows than the paper's get fewer steps in proportion, so that the cost stays known."""
KNOWN_WINDOWS, REAL_WINDOWS = 400, 200
"""Of each class at most: windows among which the nearest is sought, and held-out windows to compare with."""

TEXT = """The class mode is the input with the highest unnormalised score less 0.3 times its sum of squares (equation 3
of van der Westhuizen & Lasenby, 2017), found by RMSProp from {starts} starts of N(0, 0.1^2) per class on member
{member}, {steps} steps of size {paper_rate}; the paper states neither steps nor their size. That penalty grows with the
length of the window while the score does not: over {points} points it weighs {points} times what it weighs on the mean
square, so the twin puts the same 0.3 on the mean square (steps of {corrected_rate}). A normalised window of varying
signal has a root mean square of about 1 under z-scores; the column rms tells how near to nothing a mode stays.

A mode has converged when the last tenth of its steps changed the objective by less than 1 % of the whole gain. Its
distance is the root mean square difference to the nearest of {known} (at most {most} of a class,
drawn at random), in normalised units. The yardstick is the same distance for held-out real windows of
the class, from other {kind}s: median within a {kind}, mean over {kind}s. The range of a ratio is over
starts; the share of real windows that lie nearer than the mode says how far outside it is."""


@dataclass(frozen=True)
class _Known:
    """Normalised real windows among which the nearest is sought, their labels, what they are called, and the rows
    of windows to hold the modes against, none of them of a subject in the first.
    """

    windows: Tensor
    labels: np.ndarray
    called: str
    held_out: pd.DataFrame

    @classmethod
    def of(cls, looked: Inspected) -> _Known:
        """The member's training windows; of another cohort, which has none, the windows of every other subject."""
        samples = looked.cohort.samples
        rows = replace(looked, per_class=REAL_WINDOWS).some(MEMBER)
        if looked.bundle.config.cohort_digest == looked.cohort.digest:
            labels, called = samples.loc[looked.training_samples(MEMBER), "label"], "training windows"
        else:
            labels = samples.loc[samples["subject"] % 2 == 0, "label"]
            rows, called = rows[rows["subject"] % 2 == 1], f"windows of other {looked.cohort.subject_kind}s"
        drawn = labels.sample(frac=1, random_state=0)
        drawn = drawn.groupby(drawn).head(KNOWN_WINDOWS).sort_index()
        windows = looked.inputs(pd.DataFrame({"sample": drawn.index}))
        return cls(windows, drawn.to_numpy(), called, rows)


@dataclass(frozen=True)
class _Found:
    """What one setting has found, and where its modes lie: a row per start, classes in order."""

    setting: str
    modes: ClassModes
    distance: Tensor
    neighbour: Tensor


@dataclass(frozen=True)
class _Plan:
    """The searches of each setting, and the starts per class."""

    searches: dict[str, ClassModeSearch]
    starts: int

    @classmethod
    def of(cls, looked: Inspected, points: int) -> _Plan:
        steps = STEPS_PER_WINDOW * looked.per_class * min(1.0, USUAL_WINDOW / looked.cohort.manifest["window"])
        steps = int(np.clip(steps, 50, MOST_STEPS))
        searches = {
            PAPER: ClassModeSearch(PENALTY, steps=steps),
            CORRECTED: ClassModeSearch(PENALTY / points, learning_rate=0.05, steps=steps),
        }
        return cls(searches, max(FEWEST_STARTS, STARTS // len(looked.classes)))


def inspect(looked: Inspected) -> Finding:
    """Modes of every class under the paper's penalty and its twin, their confidence and distance; Figure 6."""
    known = _Known.of(looked)
    shape = known.windows.shape[1:]
    plan = _Plan.of(looked, shape.numel())
    found = [_find(looked, name, plan, known) for name in plan.searches]
    real = _real_distances(looked, known)
    starts = pd.concat([_by_start(looked, one, real, plan.starts) for one in found], ignore_index=True)
    by_class = _by_class(looked, found, starts, real)
    noise = looked.bundle.normalise(normal(torch.arange(10), "class mode noise", shape))
    nearest_noise = float(nearest(noise, known.windows)[0].mean())
    return Finding(
        title="What would be the purest example of each class?",
        text=_text(looked, plan, known),
        verdicts=tuple(_words(by_class, known, nearest_noise)),
        figures={"class-modes": _drawn(looked, found, starts, known)},
        tables={"class_modes": starts, "class_modes_by_class": by_class},
    )


def _text(looked: Inspected, plan: _Plan, known: _Known) -> str:
    return TEXT.format(
        starts=plan.starts,
        member=MEMBER,
        steps=plan.searches[PAPER].steps,
        paper_rate=plan.searches[PAPER].learning_rate,
        corrected_rate=plan.searches[CORRECTED].learning_rate,
        points=known.windows[0].numel(),
        known=f"{len(known.windows)} {known.called}",
        most=KNOWN_WINDOWS,
        kind=looked.cohort.subject_kind,
    )


def _find(looked: Inspected, setting: str, plan: _Plan, known: _Known) -> _Found:
    targets = torch.arange(len(looked.classes)).repeat_interleave(plan.starts)
    modes = plan.searches[setting].find(
        looked.network(MEMBER), targets, known.windows.shape[1:], seeds=torch.arange(len(targets))
    )
    return _Found(setting, modes, *nearest(modes.inputs, known.windows))


def _real_distances(looked: Inspected, known: _Known) -> pd.DataFrame:
    """Distance of held-out windows to their nearest known one: subject, label, distance."""
    rows = known.held_out
    distance = nearest(looked.inputs(rows), known.windows)[0].numpy() if len(rows) else np.empty(0)
    return rows[["subject", "label"]].assign(distance=distance)


def _typical(real: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """Per class the usual distance of a real window: mean, ci_low, ci_high over subjects; NaN where there is none."""
    medians = real.groupby(["subject", "label"])["distance"].median().unstack()
    return mean_table(medians.reindex(columns=range(len(classes)))).set_axis(list(classes))


def _by_start(looked: Inspected, found: _Found, real: pd.DataFrame, starts: int) -> pd.DataFrame:
    """A row per class and start of a setting."""
    modes, points = found.modes, found.modes.inputs[0].numel()
    table = pd.DataFrame(
        {
            "setting": found.setting,
            "class": np.repeat(looked.classes, starts),
            "start": np.tile(np.arange(starts), len(looked.classes)),
            "objective": modes.objective.numpy(),
            "score": modes.score.numpy(),
            "confidence": modes.confidence.numpy(),
            "norm": modes.norm.numpy(),
            "rms": modes.norm.numpy() / points**0.5,
            "converged": modes.converged.numpy(),
            "distance": found.distance.numpy(),
        }
    )
    typical = _typical(real, looked.classes)["mean"]
    table["ratio"] = table["distance"] / table["class"].map(typical)
    by_label = {looked.classes[int(str(label))]: part.to_numpy() for label, part in real.groupby("label")["distance"]}
    table["real_nearer"] = [
        float((by_label[name] < distance).mean()) if name in by_label else np.nan
        for name, distance in zip(table["class"], table["distance"], strict=True)
    ]
    return table.assign(best=table.index.isin(table.groupby("class")["objective"].idxmax()))


def _by_class(looked: Inspected, found: list[_Found], starts: pd.DataFrame, real: pd.DataFrame) -> pd.DataFrame:
    """A row per setting and class: the best start, the range over starts, their agreement, and the yardstick."""
    flat = looked.inputs(looked.samples.iloc[:1]) * 0
    with torch.inference_mode():
        indifferent = PROBABILITY(
            looked.network(MEMBER)(flat.expand(len(looked.classes), *flat.shape[1:])), torch.arange(len(looked.classes))
        )
    agreements = {
        (one.setting, name): agreement(part)
        for one in found
        for name, part in zip(looked.classes, one.modes.inputs.chunk(len(looked.classes)), strict=True)
    }
    groups = starts.groupby(["setting", "class"], sort=False)
    table = groups.agg(
        confidence_low=("confidence", "min"),
        confidence_high=("confidence", "max"),
        ratio_low=("ratio", "min"),
        ratio_high=("ratio", "max"),
        converged=("converged", "sum"),
        starts=("start", "size"),
    ).reset_index()
    best = starts[starts["best"]].drop_duplicates(["setting", "class"]).drop(columns=["start", "converged", "best"])
    table = best.merge(table, on=["setting", "class"])
    table["agreement"] = [agreements[pair] for pair in zip(table["setting"], table["class"], strict=True)]
    table["confidence_of_nothing"] = table["class"].map(dict(zip(looked.classes, indifferent.tolist(), strict=True)))
    typical = _typical(real, looked.classes).add_prefix("real_")
    columns = ["real_mean", "real_ci_low", "real_ci_high", "real_subjects"]
    return table.merge(typical[columns], left_on="class", right_index=True)


def _words(by_class: pd.DataFrame, known: _Known, noise: float) -> Iterator[str]:
    paper, twin = (by_class[by_class["setting"] == setting] for setting in (PAPER, CORRECTED))
    compared = twin.dropna(subset="ratio").sort_values("ratio", kind="stable")
    far = f"{_span(compared['ratio'], 1)} times as far from the {known.called} as a held-out one of the class"
    none = f"an unknown distance from the {known.called}: no real window is held out to compare with"
    yield (
        f"the best class modes reach a confidence of {_span(twin['confidence'], 3)} and lie "
        f"{far if len(compared) else none}"
    )
    for place in dict.fromkeys([*compared.index[-1:], *compared.index[:1]]):
        yield _of_class(compared.loc[place], known)
    sure = paper["class"][paper["confidence"] > 0.9].tolist()
    yield (
        f"under the paper's penalty, on the sum over all points, the modes stay at {_span(paper['rms'])} of root mean "
        f"square and reach a confidence of {_span(paper['confidence'], 3)}; above 0.9: {', '.join(sure) or 'none'} "
        f"(an input of zeros: {_span(paper['confidence_of_nothing'], 3)})"
    )
    real = f"real ones held out {_span(compared['real_mean'])}, " if len(compared) else ""
    yield (
        f"starts of a class agree with a mean correlation of {twin['agreement'].mean():.2f} (by class "
        f"{_span(twin['agreement'])}), {twin['converged'].sum()} of {twin['starts'].sum()} searches converged; from "
        f"the nearest of the {known.called} the best modes lie {_span(twin['distance'])}, {real}"
        f"white noise {noise:.2f}"
    )


def _span(values: pd.Series, digits: int = 2) -> str:
    return f"{values.min():.{digits}f} to {values.max():.{digits}f}"


def _of_class(row: pd.Series, known: _Known) -> str:
    interval = "" if np.isnan(row["real_ci_low"]) else f" [{row['real_ci_low']:.2f}, {row['real_ci_high']:.2f}]"
    return (
        f"the class mode of {row['class']} reaches confidence {row['confidence']:.3f} and lies {row['ratio']:.1f} "
        f"times as far from the {known.called} as a real one ({row['ratio_low']:.1f} to {row['ratio_high']:.1f} over "
        f"{row['starts']} starts; {row['distance']:.2f} against {row['real_mean']:.2f}{interval}, "
        f"n = {row['real_subjects']}); {100 * row['real_nearer']:.0f} % of the real ones lie nearer"
    )


def _drawn(looked: Inspected, found: list[_Found], starts: pd.DataFrame, known: _Known) -> Drawn:
    shown = {}
    for label, name in enumerate(looked.classes):
        modes, notes, beside = {}, {}, 0
        for one in found:
            rows = starts[(starts["setting"] == one.setting) & (starts["class"] == name)]
            order = (-rows["objective"].to_numpy()).argsort(kind="stable")
            modes[one.setting] = one.modes.inputs.chunk(len(looked.classes))[label][order].numpy()
            best = rows.iloc[order[0]]
            far = f", {best['ratio']:.1f} x as far as real" if np.isfinite(best["ratio"]) else ""
            notes[one.setting] = f"confidence {best['confidence']:.3f}{far}"
            beside = int(one.neighbour.chunk(len(looked.classes))[label][int(order[0])])
        real_class = f"of {looked.classes[known.labels[beside]]}"
        shown[name] = ShownModes(modes, notes, known.windows[beside].numpy(), real_class)
    title = "Class modes: the inputs with the highest score"
    caption = (
        "Class modes by setting, the best of the starts and the others, beside the real window that is nearest to the "
        "best mode of the last setting (van der Westhuizen & Lasenby, 2017, Figure 6)."
    )
    return Drawn(caption, class_modes(Geometry.of(looked.cohort), shown, title=title))

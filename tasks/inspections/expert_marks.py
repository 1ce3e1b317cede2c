"""Do the maps lie on what each of two experts marked, and on what both did?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from xai.methods import CONTROLS, attribute_all, explainer
from xai.quality.comparison import compare
from xai.quality.localisation import inclusivity, localisation_metrics

from ..cohorts.spindle_marks import SPINDLE, mask_from_spans
from ..drawing.intervals import metric_overview
from .affordable import by_judge
from .finding import Drawn, Finding
from .inspected import Inspected
from .subject_means import interval_text, one_row, subject_means

METRIC = "relevance_rank_area_corrected"
BOTH = "both experts"
EXPERTS: Mapping[str, str] = {"expert 1": "marks_expert1", "expert 2": "marks_expert2"}

TEXT = """Evidence is a person's opinion here, and persons differ: each map is held against what expert 1 marked, what
expert 2 marked, and what both did. Measured is the share of the marked points among as many points of highest
attribution, area-corrected: 0 is chance, 1 perfect. Only windows with a spindle are taken, {samples} of {subjects}
{kind}s, each explained by a network that never saw its {kind}. How far one expert's marks cover the other's stands
beside it: no map can be asked for more agreement than the experts have."""


def inspect(looked: Inspected) -> Finding:
    """Localisation of every explainer by each expert's marks and their agreement, with intervals over subjects."""
    rows = looked.some()
    rows = rows[rows["label"] == SPINDLE]
    masks = _masks(looked, rows)
    scores = pd.concat(_scores(looked, rows, masks), ignore_index=True)
    table = subject_means(scores, ["marks", "explainer"])
    kind = looked.cohort.subject_kind
    return Finding(
        title="By whose marks?",
        text=TEXT.format(samples=len(rows), subjects=rows["subject"].nunique(), kind=kind),
        verdicts=(*_words(scores, table, kind), _between_experts(rows, masks)),
        figures={
            f"marks-of-{name.replace(' ', '-')}": Drawn(
                f"Every explainer against the marks of {name}.",
                metric_overview(
                    table[table["marks"] == name].assign(metric=METRIC),
                    metric=METRIC,
                    higher_is_better=True,
                    title=f"Do the maps lie on the marks of {name}?",
                ),
            )
            for name in (*EXPERTS, BOTH)
        },
        tables={"expert_marks": table},
    )


def _masks(looked: Inspected, rows: pd.DataFrame) -> dict[str, Tensor]:
    """Marked points ``(sample, 1, time)`` by each expert and by both."""
    facts = looked.cohort.samples.loc[rows["sample"]]
    points = looked.bundle.config.window
    masks = {
        name: torch.from_numpy(mask_from_spans(facts[column].tolist(), points)[:, None])
        for name, column in EXPERTS.items()
    }
    first, second = masks.values()
    return {**masks, BOTH: first & second}


def _scores(looked: Inspected, rows: pd.DataFrame, masks: Mapping[str, Tensor]) -> Iterator[pd.DataFrame]:
    """One row per sample, explainer and whose marks; NaN where that expert marked nothing."""
    methods = [explainer(name) for name in looked.explainers]
    place = pd.Series(np.arange(len(rows)), index=rows.index)
    for network, part in by_judge(looked, rows):
        at = torch.from_numpy(place[part.index].to_numpy())
        inputs, targets, seeds = looked.inputs(part), looked.targets(part), looked.seeds(part)
        for name, maps in attribute_all(methods, network, inputs, targets, seeds=seeds).items():
            for whose, mask in masks.items():
                values = localisation_metrics(maps, mask[at])[METRIC].numpy()
                yield pd.DataFrame(
                    {"subject": part["subject"].to_numpy(), "marks": whose, "explainer": name, "value": values}
                )


def _words(scores: pd.DataFrame, table: pd.DataFrame, kind: str) -> Iterator[str]:
    """For each expert and both: the best explainer, set against the controls (Holm)."""
    for whose in (*EXPERTS, BOTH):
        rows = scores[scores["marks"] == whose]
        by_subject = rows.groupby(["subject", "explainer"])["value"].mean().unstack("explainer")
        candidates = by_subject.drop(columns=list(CONTROLS)).mean()
        if candidates.isna().all():
            yield f"marks of {whose}: none in these windows"
            continue
        best = str(candidates.idxmax())
        found = compare(by_subject, [(best, name) for name in CONTROLS], metric=METRIC, direction="higher", unit=kind)
        value = interval_text(one_row(table, marks=whose, explainer=best))
        yield f"marks of {whose}: {best} lies on them to {value} beyond chance; {'; '.join(found['verdict'])}"


def _between_experts(rows: pd.DataFrame, masks: Mapping[str, Tensor]) -> str:
    """How much of one expert's marks the other marked too, mean over subjects."""
    first, second = (masks[name].double() for name in EXPERTS)
    cover = pd.DataFrame(
        {
            "subject": rows["subject"].to_numpy(),
            "1 by 2": inclusivity(second, first.bool()).numpy(),
            "2 by 1": inclusivity(first, second.bool()).numpy(),
        }
    ).melt("subject", var_name="cover")
    table = subject_means(cover, ["cover"])
    one, two = (interval_text(one_row(table, cover=name)) for name in ("1 by 2", "2 by 1"))
    return f"expert 2 marked {one} of what expert 1 marked in these windows, expert 1 {two} of what expert 2 did"

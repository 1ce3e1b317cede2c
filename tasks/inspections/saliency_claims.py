"""Where saliency falls in a heartbeat, and what becomes of the paper's sixteen observations when they are counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from xai.methods import explainer
from xai.quality.localisation import localisation_metrics

from ..cohorts.beat_regions import region
from ..drawing.claims import claim_forest
from .companions import Seen, companions_views
from .finding import Drawn, Finding
from .inspected import Inspected
from .subject_means import interval_text, one_row, subject_means

CAM, MASK = "CAM of the CNN", "learned mask of the LSTM"
CONTROL = "amplitude"
MASS = "relevance_mass_area_corrected"
SHARED = ("P", "QRS", "ST", "T", "previous QRS", "next QRS", "own beat", "other beats")
"""Regions whose share of saliency is told for every class."""


@dataclass(frozen=True)
class Claim:
    """One observation of the paper's section IV: in windows of ``rhythm`` the map lies on ``words``, our ``region``."""

    rhythm: str
    method: str
    words: str
    region: str


CLAIMS = (
    Claim("N", CAM, "QRS complex", "QRS"),
    Claim("N", MASK, "P wave, T wave and QRS complex", "P, QRS and T"),
    Claim("PVC", CAM, "beats next to the PVC", "other beats"),
    Claim("PVC", MASK, "the PVC beat itself", "own beat"),
    Claim("PAC", CAM, "around the R peaks", "around R peaks"),
    Claim("PAC", MASK, "the final beat", "last beat"),
    Claim("AFIB", CAM, "R peak followed by fibrillation waves", "QRS and between beats"),
    Claim("AFIB", MASK, "fibrillation waves", "between beats"),
    Claim("SVTA", CAM, "QRS complex", "QRS"),
    Claim("SVTA", MASK, "ST segment", "ST"),
    Claim("SBR", CAM, "R peak", "around R peaks"),
    Claim("SBR", MASK, "R peak", "around R peaks"),
    Claim("LBBB", CAM, "inverted ST segment and prolonged RS", "QRS and ST"),
    Claim("LBBB", MASK, "inverted ST segment and prolonged RS", "QRS and ST"),
    Claim("RBBB", CAM, "secondary R peak", "late QRS"),
    Claim("RBBB", MASK, "secondary R peak", "late QRS"),
)

TEXT = """Vijayarangan et al. show one window per rhythm and method, the most confident one, and say what the map lies
on. Here each observation is a region of the window, by the delineated waves of its beats, and the number is the
relevance mass inside it beyond chance: 0 where the map spreads over the region as over the rest, 1 where it lies in it
whole. Taken are up to {per_class} windows of each class that the small network itself reads rightly, each explained by
a member that never saw its {kind}; intervals are over {kind}s. Supported means above 0 by the interval, contradicted
below 0. The mass of the signal's own amplitude stands beside it: a map that lies on the QRS no more than the voltage
does says nothing of the network."""


def inspect(looked: Inspected) -> Finding:
    """Relevance mass by claim and by wave, with verdicts; a row that has too few windows is undefined, not dropped."""
    rows = looked.some().reset_index(drop=True)
    views = companions_views(looked, rows)
    facts = looked.cohort.samples.loc[rows["sample"]].reset_index(drop=True)
    masses = pd.concat(
        [_masses(looked, rows, facts, method, seen) for method, seen in views.items()] or [_nothing()],
        ignore_index=True,
    )
    claims = _claims(masses)
    shares = subject_means(masses[masses["claimed"].eq(False)], ["method", "rhythm", "region"])
    kind = looked.cohort.subject_kind
    return Finding(
        title="What the maps lie on, counted",
        text=TEXT.format(per_class=looked.per_class, kind=kind),
        verdicts=tuple(_words(claims)),
        figures={
            "saliency-claims": Drawn(
                "The paper's observations: relevance mass in the region beyond chance, and amplitude's (hollow).",
                claim_forest(claims, title="Do the maps lie where the paper says?"),
            )
        },
        tables={"saliency_claims": claims, "saliency_by_wave": shares},
    )


def _nothing() -> pd.DataFrame:
    return pd.DataFrame(columns=["method", "rhythm", "region", "claimed", "subject", "value", CONTROL])


def _masses(looked: Inspected, rows: pd.DataFrame, facts: pd.DataFrame, method: str, seen: Seen) -> pd.DataFrame:
    """One row per rightly read window and region: the mass of its map, and of its amplitude, beyond chance."""
    window = looked.bundle.config.window
    controls = _amplitude(looked, rows)
    right = seen.predicted == rows["label"].to_numpy()
    tables = []
    for label, rhythm in enumerate(looked.classes):
        chosen = np.flatnonzero(right & (rows["label"].to_numpy() == label))
        claimed = [claim.region for claim in CLAIMS if (claim.rhythm, claim.method) == (rhythm, method)]
        for name, is_claim in [*((name, False) for name in SHARED), *((name, True) for name in claimed)]:
            mask = torch.from_numpy(region(facts.iloc[chosen], name, window))[:, None]
            tables.append(
                pd.DataFrame(
                    {
                        "method": method,
                        "rhythm": rhythm,
                        "region": name,
                        "claimed": is_claim,
                        "subject": rows["subject"].to_numpy()[chosen],
                        "value": _mass(seen.maps[chosen], mask),
                        CONTROL: _mass(controls[chosen], mask),
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def _amplitude(looked: Inspected, rows: pd.DataFrame) -> Tensor:
    inputs = looked.inputs(rows)
    return explainer(CONTROL).attribute(looked.network(0), inputs, looked.targets(rows), seeds=looked.seeds(rows))


def _mass(maps: Tensor, mask: Tensor) -> np.ndarray:
    """Area-corrected relevance mass ``(sample,)``; NaN where the region is not known."""
    return localisation_metrics(maps, mask)[MASS].numpy()


def _claims(masses: pd.DataFrame) -> pd.DataFrame:
    """One row per claim: its mass with interval, amplitude's, and the verdict."""
    tested = masses[masses["claimed"].eq(True)]
    keys = ["rhythm", "method", "region"]
    found, control = (subject_means(tested, keys, value) for value in ("value", CONTROL))
    rows = []
    for claim in CLAIMS:
        chosen = {"rhythm": claim.rhythm, "method": claim.method}
        known = not found.empty and ((found["rhythm"] == claim.rhythm) & (found["method"] == claim.method)).any()
        ours = one_row(found, **chosen) if known else pd.Series(dict.fromkeys(_NUMBERS, np.nan))
        theirs = one_row(control, **chosen) if known else pd.Series(dict.fromkeys(_NUMBERS, np.nan))
        rows.append(
            {
                "rhythm": claim.rhythm,
                "method": claim.method,
                "words": claim.words,
                "region": claim.region,
                "value": ours["mean"],
                "ci_low": ours["ci_low"],
                "ci_high": ours["ci_high"],
                "subjects": ours["subjects"],
                "control": theirs["mean"],
                "control_low": theirs["ci_low"],
                "control_high": theirs["ci_high"],
                "verdict": verdict(ours),
            }
        )
    return pd.DataFrame(rows)


_NUMBERS = ("mean", "ci_low", "ci_high", "subjects")


def verdict(numbers: pd.Series | Mapping[str, float]) -> str:
    """In a word; undecided where the interval holds 0 or there is none."""
    if numbers["ci_low"] > 0:
        return "supported"
    return "contradicted" if numbers["ci_high"] < 0 else "undecided"


def _words(claims: pd.DataFrame) -> Iterator[str]:
    counts = claims.groupby(["method", "verdict"], sort=False).size()
    for method in dict.fromkeys(claims["method"]):
        words = [f"{count} {name}" for name, count in counts[method].items()]
        yield f"{method}: of the paper's {counts[method].sum()} observations {', '.join(words)}"
    for _, row in claims.iterrows():
        numbers = row.rename({"value": "mean"})
        control = row[["control", "control_low", "control_high"]].set_axis(["mean", "ci_low", "ci_high"])
        yield (
            f"{row['rhythm']}, {row['method']}, {row['words']}: {row['verdict']}, {interval_text(numbers)}; "
            f"amplitude {interval_text(control)}"
        )

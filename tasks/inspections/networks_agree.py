"""Do the small networks explain the classifier? Their answers and their maps beside its own."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from xai.methods import CONTROLS
from xai.quality.randomisation import rank_correlation

from ..training.confusions import confusion_counts, kappa
from .companions import Seen, companions_views, seen_by
from .finding import Finding
from .inspected import Inspected
from .subject_means import interval_text, one_row, subject_means

TEXT = """The paper explains two small networks that it trained beside the classifier, one with CAM and one with the
learned mask, and shows their maps as the classifier's. Here each is asked about {samples} windows that its member never
saw. Same answer: the share of windows in which it gives the classifier's class, and Cohen's kappa. Same map: the rank
correlation of its map with the classifier's own explanations of the same window, mean over {kind}s. The controls stand
beside them: random maps agree to 0, and amplitude tells how far any two maps agree since both follow the voltage. A
map of another network explains the classifier no better than these numbers."""


def inspect(looked: Inspected) -> Finding:
    """Agreement of predictions and of maps between the classifier and each companion."""
    rows = looked.some().reset_index(drop=True)
    views = companions_views(looked, rows)
    own = {name: seen_by(looked, looked.bundle, name, rows) for name in looked.explainers}
    predictions = pd.DataFrame([_answers(looked, rows, own, name, seen) for name, seen in views.items()])
    correlations = pd.concat(
        [_correlations(rows, name, seen, own) for name, seen in views.items()] or [pd.DataFrame()], ignore_index=True
    )
    maps = subject_means(correlations, ["network", "explainer"]) if len(correlations) else correlations
    return Finding(
        title="Do the small networks explain the classifier?",
        text=TEXT.format(samples=len(rows), kind=looked.cohort.subject_kind),
        verdicts=tuple(_words(predictions, maps)),
        tables={"companion_answers": predictions, "companion_maps": maps},
    )


def _answers(looked: Inspected, rows: pd.DataFrame, own: dict[str, Seen], name: str, seen: Seen) -> dict[str, object]:
    """How often a companion gives the classifier's class."""
    ours = next(iter(own.values())).predicted
    same = pd.DataFrame({"subject": rows["subject"], "network": name, "value": (seen.predicted == ours).astype(float)})
    counts = confusion_counts(pd.DataFrame({"label": ours, "prediction": seen.predicted}), len(looked.classes))
    right = float((seen.predicted == rows["label"].to_numpy()).mean())
    return {**subject_means(same, ["network"]).iloc[0], "kappa": float(kappa(counts)), "right": right}


def _correlations(rows: pd.DataFrame, name: str, seen: Seen, own: dict[str, Seen]) -> pd.DataFrame:
    """Rank correlation of a companion's map with every explanation of the classifier, window by window."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "subject": rows["subject"],
                    "network": name,
                    "explainer": method,
                    "value": rank_correlation(seen.maps, ours.maps).double().numpy(),
                }
            )
            for method, ours in own.items()
        ],
        ignore_index=True,
    )


def _words(predictions: pd.DataFrame, maps: pd.DataFrame) -> Iterator[str]:
    if predictions.empty:
        yield "no companion has been trained in this mode on these recordings"
        return
    for _, row in predictions.iterrows():
        name = row["network"]
        candidates = maps[(maps["network"] == name) & ~maps["explainer"].isin(CONTROLS)]
        amplitude = interval_text(one_row(maps, network=name, explainer="amplitude"))
        yield f"{name} gives the classifier's class in {interval_text(row)} of the windows, kappa {row['kappa']:.2f}"
        if candidates["mean"].notna().any():
            best = candidates.loc[candidates["mean"].idxmax()]
            yield (
                f"{name}: its map agrees best with the classifier's {best['explainer']}, {interval_text(best)} in "
                f"rank correlation; with amplitude {amplitude}"
            )

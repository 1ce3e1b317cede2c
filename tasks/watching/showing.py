"""A look as people see it: an MLflow run with metrics, table and figure, and a note on Prefect's page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import mlflow
import pandas as pd
from matplotlib.figure import Figure
from prefect import task
from prefect.artifacts import create_markdown_artifact

from .. import ledger as books
from ..drawing.style import png_bytes
from ..drawing.watch import measures_over_looks
from ..evaluating.evaluation import write_whole
from ..evaluating.ledgering import open_books
from ..ledger.watching import looks, shown
from ..publishing.prefect_artifacts import show_mlflow_run
from ..publishing.registry import VersionRef
from ..publishing.tracking import keyed_run
from ..settings import Settings
from .drift import EVERYONE, SINCE_PROMOTION, Finding

KEY_TAG = "plumbline.key"
_NUMBERS = ("baseline", "baseline_low", "baseline_high", "new", "difference", "ci_low", "ci_high")


@task(retries=3, retry_delay_seconds=10)
def show_look(look: books.Look, model: VersionRef) -> str:
    """Shows a look of the ledger in MLflow and Prefect, once; returns the MLflow run's id.

    The run is found again by the look's key, so that a look that was killed while it was shown has one.
    """
    table = findings_of(look)
    folder = Settings().root / "watch" / look.study / look.key
    folder.mkdir(parents=True, exist_ok=True)
    tags = {
        "plumbline.study": look.study,
        "plumbline.job": "watch",
        "plumbline.model_version": look.model_version,
        "plumbline.state": look.state,
        KEY_TAG: look.key,
    }
    name = f"watch v{look.model_version} look {look.number}"
    with keyed_run(study=look.study, name=name, tags=tags, key_tags=(KEY_TAG,)) as run:
        mlflow.set_tag("mlflow.note.content", f"{look.state}. {look.message}")
        mlflow.log_metrics(_metrics(table), timestamp=run.info.start_time, model_id=model.model_id)
        write_whole(folder / "watch.csv", lambda path: table.to_csv(path, index=False))
        mlflow.log_artifact(str(folder / "watch.csv"), "tables")
        figure = figure_of(look)
        if figure is not None:
            (folder / "watch.png").write_bytes(png_bytes(figure))
            mlflow.log_artifact(str(folder / "watch.png"), "figures")
        run_id = str(run.info.run_id)
    create_markdown_artifact(_note(look, table), key=f"watch-{look.study}", description=f"{name}: {look.state}")
    show_mlflow_run(f"watch-{look.study}", run_id)
    shown(open_books(), look.key, run_id)
    return run_id


def findings_of(look: books.Look) -> pd.DataFrame:
    """The look's table, one row per measure and subgroup; undefined numbers are NaN."""
    table = pd.DataFrame(look.findings, columns=list(Finding.__dataclass_fields__))
    return table.astype(dict.fromkeys(_NUMBERS, float))


def figure_of(look: books.Look) -> Figure | None:
    """Every measure of everyone over the version's looks up to this one; None where nothing was declared."""
    before = [each for each in looks(open_books(), look.model_name, look.model_version) if each.number <= look.number]
    tables = [findings_of(each).assign(look=each.number) for each in before]
    table = _of_everyone(pd.concat(tables, ignore_index=True))
    if table.empty:
        return None
    return measures_over_looks(table, title=f"{look.study} version {look.model_version} since promotion")


def _of_everyone(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["subgroup"] == EVERYONE) & (table["window"] == SINCE_PROMOTION)]


def _metrics(table: pd.DataFrame) -> dict[str, float]:
    """Of everyone: the mean, the difference to the baseline and its interval; ``violations`` counts all subgroups."""
    metrics = {"violations": float(table["violated"].sum())}
    columns = {"new": "", "difference": "_difference", "ci_low": "_ci_low", "ci_high": "_ci_high"}
    for row in _of_everyone(table).to_dict("records"):
        name = str(row["measure"]).replace(" ", "_")
        metrics |= {f"{name}{suffix}": float(row[column]) for column, suffix in columns.items()}
    return {name: value for name, value in metrics.items() if not math.isnan(value)}


def _note(look: books.Look, table: pd.DataFrame) -> str:
    lines = [f"**{look.state}**", "", _escaped(look.message), ""]
    lines += [
        "| measure | subgroup | who | at promotion | now | difference | subjects |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_line(row) for row in table.to_dict("records")]
    return "\n".join(lines)


def _line(row: Mapping[Any, Any]) -> str:
    measured = not math.isnan(row["difference"])
    since = f"{row['new']:.3g}" if measured else "too few"
    difference = f"{row['difference']:+.3g} [{row['ci_low']:.3g}, {row['ci_high']:.3g}]" if measured else ""
    mark = " **violated**" if row["violated"] else ""
    cells = (
        row["measure"],
        row["subgroup"],
        row["window"],
        f"{row['baseline']:.3g}",
        since,
        difference + mark,
        row["n_new"],
    )
    return f"| {' | '.join(_escaped(str(cell)) if cell != difference + mark else str(cell) for cell in cells)} |"


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("|", "\\|")

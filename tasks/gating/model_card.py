"""The model card of a version: markdown for MLflow's page of it, and a page of its own with the figures."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from models.bundle import SPLITS_FILE, VERSION_FILE

from ..cohorts.store import Cohort
from ..evaluating.evaluation import Evaluation
from ..evaluating.judging import FEWEST_SUBJECTS_PER_CELL, judgement, read_csv
from ..publishing.registry import VersionRef
from ..reporting.page import Picture, Report, Section, format_value, write_report
from .constraints import Verdict
from .judged import headline

LONGEST_DESCRIPTION = 5_000
"""Characters of a version's description in MLflow's database: SQLite takes more, PostgreSQL refuses."""
LONGEST_STATUS = 900
"""Characters of the line on the gate, which names every broken constraint: the table below it does so too."""
CARD, CARD_PAGE = "model_card.md", "model_card.html"
MORE = f"More stands in `{CARD_PAGE}` and `report.html` of the run."

Table = tuple[str, pd.DataFrame]


@dataclass(frozen=True)
class Card:
    """What is told of a version: ``facts`` as label and text, captioned ``figures`` by their name among the artifacts.

    ``status`` is the one thing that changes later, by a rollback.
    """

    title: str
    status: str
    facts: tuple[tuple[str, str], ...]
    figures: dict[str, str]
    tables: tuple[Table, ...]
    limits: tuple[str, ...]
    usage: str

    def markdown(self) -> str:
        """The whole card; its figures are files beside it."""
        shown = [f"![{_cell(caption)}]({quote(name)})" for name, caption in self.figures.items()]
        return "\n\n".join([*self._head(), *shown, *map(_table, self.tables), *self._tail()]) + "\n"

    def description(self, run: str | None) -> str:
        """The card in at most 5,000 characters, for MLflow's page of the version.

        MLflow's page shows images that it serves itself, by their address among the artifacts of a ``run``, but none
        that are in the text. What does not fit is left out from the end, and that is said.
        """
        shown = [] if run is None else [_served(run, name, caption) for name, caption in self.figures.items()]
        room = LONGEST_DESCRIPTION - len(MORE) - 2
        kept: list[str] = []
        for part in [*self._head(), shown[0] if shown else "", _table(self.tables[0]), *self._tail(), *shown[1:],
                     *map(_table, self.tables[1:])]:  # fmt: skip
            if part and len("\n\n".join([*kept, part])) <= room:
                kept.append(part)
        return "\n\n".join([*kept, MORE])

    def report(self, folder: Path) -> Report:
        """The card as a page of its own; ``folder`` holds the figures."""
        return Report(
            title=self.title,
            subtitle="model card",
            verdicts=[self.status],
            facts=list(self.facts),
            sections=[
                Section("What the gate asked", tables=self.tables[:1]),
                Section(
                    "What it looks like",
                    figures=[Picture(caption, (folder / name).read_bytes()) for name, caption in self.figures.items()],
                ),
                Section("For whom", tables=self.tables[1:]),
                Section("Limits", text="\n\n".join(self.limits)),
                Section("How to load it", text=self.usage),
            ],
        )

    def _head(self) -> list[str]:
        facts = "\n".join(f"- **{label}**: {_cell(text)}" for label, text in self.facts)
        return [f"# {_cell(self.title)}", _status_line(self.status), facts]

    def _tail(self) -> list[str]:
        limits = "\n".join(f"- {_cell(limit)}" for limit in self.limits)
        return [f"## Limits\n\n{limits}", f"## How to load it\n\n```python\n{self.usage}\n```"]


def card_of(evaluation: Evaluation, model: VersionRef, verdict: Verdict, word: str, title: str) -> Card:
    """The card of a version that the gate has judged; ``word``: promoted or refused, ``title``: the study's."""
    figures = {
        "figures/explainers.png": "Every explainer with its 95 % interval; dashed lines: the controls",
        f"{evaluation.figure('heatmaps')}.png": "What each explainer marks in one sample of each class",
        "figures/subgroups.png": "The primary measure by subgroup",
    }
    return Card(
        title=f"{model.name}, version {model.version}",
        status=status_of(word, verdict.sentence),
        facts=tuple(_facts(evaluation, title)),
        figures={name: caption for name, caption in figures.items() if (evaluation.folder / name).exists()},
        tables=(("What the gate asked", constraint_table(verdict)), *_subgroups(evaluation)),
        limits=tuple(_limits(evaluation, verdict)),
        usage=_usage(model, judgement(evaluation)["best"]),
    )


def write_card(evaluation: Evaluation, card: Card) -> list[Path]:
    """Writes ``model_card.md`` and ``model_card.html`` into the evaluation's folder, and returns their paths."""
    text = evaluation.folder / CARD
    text.write_text(card.markdown())
    return [text, write_report(evaluation.folder / CARD_PAGE, card.report(evaluation.folder))]


def status_of(word: str, reason: str) -> str:
    """What the version is now, and why, in one line."""
    return f"{word}: {reason.removeprefix(f'{word}: ')}"


def with_status(description: str, status: str) -> str:
    """The description with another line on its standing; the rest stays. Without such a line, it is put in front."""
    line = _status_line(status)
    changed, lines = re.subn(r"^> .*$", lambda _: line, description, count=1, flags=re.MULTILINE)
    return changed if lines else f"{line}\n\n{description}".rstrip()


def constraint_table(verdict: Verdict) -> pd.DataFrame:
    """One row per constraint: what was asked, what was found, whether it holds."""
    rows = [
        (each.verdict, each.name, each.found, each.demand, "" if each.note in each.found else each.note)
        for each in verdict.constraints
    ]
    return pd.DataFrame(rows, columns=["verdict", "constraint", "found", "demanded", "of"])


def _facts(evaluation: Evaluation, title: str) -> list[tuple[str, str]]:
    trained = json.loads((evaluation.bundle / VERSION_FILE).read_text())
    seen = pd.read_parquet(evaluation.bundle / SPLITS_FILE)
    found, performance = judgement(evaluation), headline(evaluation)
    kind, name = found["subject_kind"], "dice" if "dice" in performance else "balanced_accuracy"
    options = ", ".join(f"{option}={value}" for option, value in trained["options"].items()) or "the defaults"
    return [
        ("What it is", f"{title}; {trained['network']}, {len(trained['members'])} members"),
        ("Input", _input(trained)),
        ("Classes", ", ".join(trained["classes"])),
        (
            "Trained on",
            f"cohort {trained['cohort_digest'][:12]}: {seen['sample'].nunique():,} samples of "
            f"{seen['subject'].nunique():,} {kind}s; {trained['mode']} mode, options: {options}",
        ),
        (name.replace("_", " ").capitalize(), f"{_interval(performance, name, name)}, 95 % over {kind}s"),
        (
            "Most faithful",
            f"{found['best']}: {found['metric']} {_interval(found, 'best_mean', 'best')}, "
            f"{found['samples']} samples of {found['subjects']} {kind}s of cohort {evaluation.cohort_digest[:12]}",
        ),
    ]


def _input(trained: dict[str, Any]) -> str:
    channels = ", ".join(f"{name} ({unit})" for name, unit in zip(trained["channels"], trained["units"], strict=True))
    if trained["volume"]:
        return f"{channels}; {' x '.join(map(str, trained['volume']))} voxels"
    return f"{channels}; {trained['window']} points at {trained['sampling_rate']:g} Hz"


def _interval(numbers: dict[str, Any], value: str, stem: str) -> str:
    low, high = (format_value(numbers[f"{stem}_ci_{end}"]) for end in ("low", "high"))
    return f"{format_value(numbers[value])} [{low}, {high}]"


def _subgroups(evaluation: Evaluation) -> list[Table]:
    """The primary metric of the best explainer by sex, age band and drug; small cells have lost their numbers."""
    found = judgement(evaluation)
    table = read_csv(evaluation, "subgroups")
    own = table[table["explainer"] == found["best"]]
    if own.empty:
        return []
    shown = [
        (row["factor"], row["group"], *_cells(row, found["subject_kind"])) for _, row in own.astype(object).iterrows()
    ]
    columns = ["factor", "group", "mean", "95 %", f"{found['subject_kind']}s"]
    return [(f"{found['metric']} of {found['best']} by subgroup", pd.DataFrame(shown, columns=columns))]


def _cells(row: pd.Series, kind: str) -> tuple[str, str, str]:
    if row["suppressed"]:
        return "–", "–", f"fewer than {FEWEST_SUBJECTS_PER_CELL}"
    return format_value(row["mean"]), format_value((row["ci_low"], row["ci_high"])), format_value(int(row["subjects"]))


def _limits(evaluation: Evaluation, verdict: Verdict) -> list[str]:
    found, cohort = judgement(evaluation), Cohort.open(evaluation.cohort)
    limits = [
        f"Known for {found['subjects']} {found['subject_kind']}s of one cohort; of people unlike them "
        "nothing is known.",
        "A faithful map shows what the network used, not what is true of the patient.",
    ]
    if found["few_subject_classes"]:
        limits.append(f"Too few people for a judgement: {', '.join(found['few_subject_classes'])}.")
    if len(cohort.quarantine):
        limits.append(f"{len(cohort.quarantine)} recordings could not be read and were left out.")
    silent = ", ".join(each.name for each in verdict.of("not asked"))
    return [*limits, *([f"Not asked: {silent}."] if silent else [])]


def _usage(model: VersionRef, best: str) -> str:
    return (
        "import mlflow\n"
        f'model = mlflow.pyfunc.load_model("models:/{model.name}@champion")  # or {model.uri}\n'
        f'model.predict(samples, params={{"explain": "{best}"}})  # float32 (sample, channel, ...), physical units'
    )


def _served(run: str, name: str, caption: str) -> str:
    """An image by its address on the MLflow server that shows the description."""
    return f"![{_cell(caption)}](get-artifact?path={quote(name, safe='')}&run_uuid={run})"


def _table(table: Table) -> str:
    title, rows = table
    cells: list[list[object]] = [list(rows.columns), ["---"] * len(rows.columns), *rows.to_numpy(dtype=object).tolist()]
    return f"## {_cell(title)}\n\n" + "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in cells)


def _status_line(status: str) -> str:
    word, _, reason = status.partition(": ")
    text = f"**{_cell(word)}**: {_cell(reason)}"
    return f"> {text if len(text) <= LONGEST_STATUS else text[: LONGEST_STATUS - 1] + '…'}"


def _cell(text: object) -> str:
    """Text that markdown and HTML show as it is, on one line: class names come from recordings."""
    plain = " ".join(str(text).split())
    return re.sub(r"[\\`*|<>&\"]|\](?=[(\[])|(?<!\w)_|_(?!\w)", lambda sign: f"&#{ord(sign[0])};", plain)

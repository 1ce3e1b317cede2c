"""Runs the inspections of an evaluation, each once, and keeps what they find beside its tables and figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from prefect import task

from models.bundle import load_bundle

from .. import drawing
from ..cohorts.store import Cohort
from ..inspections import (
    class_distribution,
    class_modes,
    demographics,
    dependence_length,
    expert_marks,
    filter_points,
    gates,
    method_schemas,
    missing_values,
    modality_ablation,
    negative_digit,
    nets,
    networks_agree,
    night,
    recorder,
    relevance_filters,
    relevance_shares,
    rhythm_saliency,
    rule_agreement,
    saliency_claims,
    sequence_length,
    temporal_scores,
    wavelet_match,
)
from ..inspections.finding import Finding
from ..inspections.inspected import Inspected
from ..progress import track
from ..reporting.interactive import write_interactive
from .evaluation import Evaluation, write_whole
from .judging import write_csv
from .sharing import read_shares

INSPECTIONS: Mapping[str, Callable[[Inspected], Finding]] = {
    "class-distribution": class_distribution.inspect,
    "class-modes": class_modes.inspect,
    "demographics": demographics.inspect,
    "dependence-length": dependence_length.inspect,
    "expert-marks": expert_marks.inspect,
    "filter-points": filter_points.inspect,
    "gates": gates.inspect,
    "method-schemas": method_schemas.inspect,
    "missing-values": missing_values.inspect,
    "modality-ablation": modality_ablation.inspect,
    "negative-digit": negative_digit.inspect,
    "nets": nets.inspect,
    "networks-agree": networks_agree.inspect,
    "night": night.inspect,
    "recorder": recorder.inspect,
    "relevance-filters": relevance_filters.inspect,
    "relevance-shares": relevance_shares.inspect,
    "rhythm-saliency": rhythm_saliency.inspect,
    "rule-agreement": rule_agreement.inspect,
    "saliency-claims": saliency_claims.inspect,
    "sequence-length": sequence_length.inspect,
    "temporal-scores": temporal_scores.inspect,
    "wavelet-match": wavelet_match.inspect,
}


@dataclass(frozen=True)
class Kept:
    """A finding as it is kept: its words, and where its figures and tables lie (caption by name)."""

    title: str
    text: str
    verdicts: tuple[str, ...]
    figures: Mapping[str, str]
    tables: tuple[str, ...]


@task
def inspect_version(evaluation: Evaluation) -> None:
    """Runs every inspection that the configuration names and that has not left its finding yet."""
    missing = [name for name in evaluation.configuration["inspections"] if not _place(evaluation, name).exists()]
    if not missing:
        return
    looked = inspected(evaluation)
    for name in track(missing, f"{evaluation.study}: inspections"):
        _keep(evaluation, name, INSPECTIONS[name](looked))


def inspected(evaluation: Evaluation) -> Inspected:
    """The version and the judged samples, as inspections see them."""
    return Inspected(
        cohort=Cohort.open(evaluation.cohort),
        bundle=load_bundle(evaluation.bundle),
        splits=pd.read_parquet(evaluation.bundle / "splits.parquet"),
        samples=evaluation.samples(),
        per_class=evaluation.configuration["inspected_per_class"],
        explainers=tuple(evaluation.configuration.get("explainers", ())),
        shares=read_shares(evaluation),
        demographics=evaluation.configuration.get("demographics"),
        companions={name: load_bundle(folder) for name, folder in evaluation.companions.items()},
    )


def findings(evaluation: Evaluation) -> dict[str, Kept]:
    """What the inspections have found, by name, in the catalogue's order."""
    kept = {}
    for name in evaluation.configuration["inspections"]:
        stored = json.loads(_place(evaluation, name).read_text())
        kept[name] = Kept(**{**stored, "verdicts": tuple(stored["verdicts"]), "tables": tuple(stored["tables"])})
    return kept


def _place(evaluation: Evaluation, name: str) -> Path:
    return evaluation.inspections / f"{name}.json"


def _keep(evaluation: Evaluation, name: str, finding: Finding) -> None:
    """Writes figures and tables first and the words last, as the seal."""
    figures = {}
    for figure_name, drawn in finding.figures.items():
        stem = evaluation.figure(figure_name)
        figures[stem] = drawn.caption
        place = evaluation.folder / f"{stem}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(drawing.png_bytes(drawn.still))
        if drawn.interactive is not None:
            write_interactive(place.with_suffix(".html"), drawn.interactive, drawn.caption)
    for table_name, table in finding.tables.items():
        write_csv(evaluation, table_name, table)
    kept = {
        "title": finding.title,
        "text": finding.text,
        "verdicts": finding.verdicts,
        "figures": figures,
        "tables": tuple(finding.tables),
    }
    evaluation.inspections.mkdir(parents=True, exist_ok=True)
    write_whole(_place(evaluation, name), lambda file: file.write_text(json.dumps(kept, indent=2)))

"""What the watch writes to the ledger and reads back: baselines, looks and what arrived, each look whole or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from .database import Ledger
from .models import Arrival, ArrivedValue, Baseline, BaselineValue, Look

MEASURED = ("subject", "measure", "value", "n", "sex", "age_band")


def record_baseline(ledger: Ledger, baseline: Baseline, values: Sequence[Mapping[str, Any]]) -> None:
    """Writes the baseline of a version with its values (rows of MEASURED), in the place of one that is there."""
    of_version: dict[str, Any] = {"model_name": baseline.model_name, "model_version": baseline.model_version}
    with ledger.writing() as session:
        for table in (BaselineValue, Baseline):
            session.execute(delete(table).filter_by(**of_version))
        session.add(baseline)
        session.add_all(BaselineValue(**of_version, **row) for row in values)


def find_baseline(ledger: Ledger, model_name: str, model_version: str) -> Baseline | None:
    """The baseline of a version, or None where none was written."""
    with ledger.reading() as session:
        return session.get(Baseline, (model_name, model_version))


def baseline_values(ledger: Ledger, model_name: str, model_version: str) -> pd.DataFrame:
    """The values of a version's baseline, columns MEASURED."""
    columns = [getattr(BaselineValue, name) for name in MEASURED]
    of_version = (BaselineValue.model_name == model_name, BaselineValue.model_version == model_version)
    with ledger.reading() as session:
        return _table(session, select(*columns).where(*of_version).order_by(*columns[:2]), MEASURED)


def known_arrivals(ledger: Ledger, study: str) -> set[tuple[str, str]]:
    """Every (recording, digest) that a look of the study has seen."""
    with ledger.reading() as session:
        query = select(Arrival.recording, Arrival.digest).where(Arrival.study == study)
        return {(recording, digest) for recording, digest in session.execute(query)}


def record_look(
    ledger: Ledger,
    look: Look,
    arrivals: Sequence[Mapping[str, Any]],
    values: Sequence[Mapping[str, Any]],
) -> Look:
    """Writes a look with its arrivals (recording, digest, reason) and values (recording, MEASURED), all or nothing.

    A look whose key is there already is returned as it is.
    """
    with ledger.writing() as session:
        former = session.get(Look, look.key)
        if former is not None:
            return former
        session.add(look)
        session.flush()
        session.add_all(Arrival(study=look.study, look=look.key, **row) for row in arrivals)
        session.add_all(ArrivedValue(look=look.key, **row) for row in values)
        return look


def shown(ledger: Ledger, key: str, mlflow_run_id: str) -> None:
    """Notes that a look has been shown to people."""
    with ledger.writing() as session:
        look = session.get(Look, key)
        if look is not None:
            look.mlflow_run_id = mlflow_run_id


def looks(ledger: Ledger, model_name: str, model_version: str) -> list[Look]:
    """The looks of a version, the first one first."""
    query = select(Look).where(Look.model_name == model_name, Look.model_version == model_version)
    with ledger.reading() as session:
        return list(session.scalars(query.order_by(Look.number)))


def unshown_looks(ledger: Ledger, study: str) -> list[Look]:
    """Looks of a study that were written and never shown, as when their flow was killed; the first one first."""
    query = select(Look).where(Look.study == study, Look.mlflow_run_id.is_(None))
    with ledger.reading() as session:
        return list(session.scalars(query.order_by(Look.looked_at, Look.number)))


def arrived_values(ledger: Ledger, model_name: str, model_version: str) -> pd.DataFrame:
    """What a version's looks measured, columns recording and MEASURED; of each recording what was seen last."""
    newest = (
        select(Arrival.study, Arrival.recording, func.max(Arrival.seen_at).label("seen_at"))
        .group_by(Arrival.study, Arrival.recording)
        .subquery()
    )
    names = ("recording", *MEASURED)
    query = (
        select(*(getattr(ArrivedValue, name) for name in names))
        .join(Look, Look.key == ArrivedValue.look)
        .join(Arrival, (Arrival.look == Look.key) & (Arrival.recording == ArrivedValue.recording))
        .join(
            newest,
            (newest.c.study == Arrival.study)
            & (newest.c.recording == Arrival.recording)
            & (newest.c.seen_at == Arrival.seen_at),
        )
        .where(Look.model_name == model_name, Look.model_version == model_version)
        .order_by(ArrivedValue.recording, ArrivedValue.subject, ArrivedValue.measure)
    )
    with ledger.reading() as session:
        return _table(session, query, names)


def _table(session: Session, query: Any, names: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(session.execute(query).all(), columns=list(names)).astype({"value": float})

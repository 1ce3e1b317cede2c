"""What is written to the ledger and read back. Writing the same thing twice changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import pandas as pd
from sqlalchemy import func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from .database import Ledger, LedgerError, as_json
from .models import Base, Evaluation, GateDecision, Quarantined, Score, Share

ROWS_PER_STATEMENT = 2_000


def begin(ledger: Ledger, evaluation: Evaluation) -> Evaluation:
    """Notes that ``evaluation`` has started and returns it as the ledger knows it.

    A failed or interrupted evaluation starts again, keeping its MLflow run unless another is given;
    one that is done stays done, and is returned so.
    """
    row = _row(evaluation)
    with ledger.writing() as session:
        statement = _insert(session, Evaluation)
        again = statement.on_conflict_do_update(
            index_elements=["key"],
            set_={
                "status": "running",
                "started_at": statement.excluded.started_at,
                "finished_at": None,
                "mlflow_run_id": func.coalesce(statement.excluded.mlflow_run_id, Evaluation.mlflow_run_id),
            },
            where=Evaluation.status != "done",
        )
        session.execute(again, row)
        return _known(ledger, session, evaluation.key)


def finish(
    ledger: Ledger,
    key: str,
    *,
    status: Literal["done", "failed"] = "done",
    samples: int | None = None,
    mlflow_run_id: str | None = None,
) -> Evaluation:
    """Ends an evaluation; ``samples`` and ``mlflow_run_id`` are kept as they are where None."""
    with ledger.writing() as session:
        evaluation = _known(ledger, session, key)
        evaluation.status = status
        evaluation.finished_at = datetime.now(UTC)
        evaluation.samples = evaluation.samples if samples is None else samples
        evaluation.mlflow_run_id = mlflow_run_id or evaluation.mlflow_run_id
        return evaluation


def stamp_checked(ledger: Ledger, key: str) -> Evaluation:
    """Notes that the evaluation was looked at again just now and found unchanged."""
    with ledger.writing() as session:
        evaluation = _known(ledger, session, key)
        evaluation.checked_at = datetime.now(UTC)
        return evaluation


def find(ledger: Ledger, key: str) -> Evaluation | None:
    """The evaluation of this key, or None where it was never begun."""
    with ledger.reading() as session:
        return session.get(Evaluation, key)


def evaluations(ledger: Ledger, study: str) -> list[Evaluation]:
    """All evaluations of a study, the latest started first."""
    query = select(Evaluation).where(Evaluation.study == study)
    with ledger.reading() as session:
        return list(session.scalars(query.order_by(Evaluation.started_at.desc(), Evaluation.key)))


def record_scores(ledger: Ledger, key: str, table: pd.DataFrame) -> None:
    """Writes the scores of an evaluation, over those already there; all of them or none.

    ``table`` has the columns ``subject, class_name, explainer, metric, baseline, value, n, n_undefined``,
    NaN where a value is undefined. Raises LedgerError where ``key`` was never begun, ValueError where a
    column is missing or a row is there twice.
    """
    _record(ledger, Score, key, table)


def scores(ledger: Ledger, key: str) -> pd.DataFrame:
    """The scores of an evaluation as `record_scores` takes them, sorted by their key columns."""
    return _read(ledger, Score, key)


def record_shares(ledger: Ledger, key: str, table: pd.DataFrame) -> None:
    """Writes relevance shares: columns ``subject, class_name, explainer, part, value``; else as scores."""
    _record(ledger, Share, key, table)


def shares(ledger: Ledger, key: str) -> pd.DataFrame:
    """The relevance shares of an evaluation, sorted by their key columns."""
    return _read(ledger, Share, key)


def record_quarantine(ledger: Ledger, cohort_digest: str, reasons: Mapping[str, str]) -> None:
    """Notes why recordings (the keys of ``reasons``) of a cohort could not be used."""
    rows = [
        {"cohort_digest": cohort_digest, "recording": recording, "reason": reason}
        for recording, reason in sorted(reasons.items())
    ]
    with ledger.writing() as session:
        _upsert(session, Quarantined, rows)


def quarantine(ledger: Ledger, cohort_digest: str) -> dict[str, str]:
    """Reason by recording of a cohort's quarantine, sorted by recording."""
    query = select(Quarantined).where(Quarantined.cohort_digest == cohort_digest)
    with ledger.reading() as session:
        found = session.scalars(query.order_by(Quarantined.recording))
        return {row.recording: row.reason for row in found}


def record_gate(ledger: Ledger, decision: GateDecision) -> GateDecision:
    """Appends a decision to the history of its model, unless the latest one says the same already."""
    with ledger.writing() as session:
        _lock_history(session)
        query = select(GateDecision).where(GateDecision.model_name == decision.model_name)
        latest = session.scalars(query.order_by(GateDecision.id.desc()).limit(1)).first()
        if latest is not None and _said(latest) == _said(decision):
            return latest
        session.add(decision)
        return decision


def gate_history(ledger: Ledger, study: str) -> list[GateDecision]:
    """All decisions of a study, the oldest first."""
    query = select(GateDecision).where(GateDecision.study == study).order_by(GateDecision.id)
    with ledger.reading() as session:
        return list(session.scalars(query))


def champions(ledger: Ledger, study: str, model_name: str) -> list[str]:
    """Versions that a rollback can go through: the champion last, the one before it second to last."""
    standing: list[str] = []
    for decision in gate_history(ledger, study):
        if decision.model_name != model_name or decision.verdict == "refused":
            continue
        if decision.verdict == "restored" and decision.model_version in standing:
            standing = standing[: standing.index(decision.model_version)]
        standing = [version for version in standing if version != decision.model_version]
        standing.append(decision.model_version)
    return standing


def _lock_history(session: Session) -> None:
    """Two gates must not both take the same decision for the latest; SQLite's writer is alone already."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"LOCK TABLE {GateDecision.__tablename__} IN SHARE ROW EXCLUSIVE MODE"))


def _known(ledger: Ledger, session: Session, key: str) -> Evaluation:
    evaluation = session.get(Evaluation, key)
    if evaluation is None:
        raise LedgerError(f"The ledger {ledger.address} has no evaluation {key!r}; expected one begun.")
    return evaluation


def _record(ledger: Ledger, model: type[Base], key: str, table: pd.DataFrame) -> None:
    rows = _rows(model, table)
    with ledger.writing() as session:
        _known(ledger, session, key)
        _upsert(session, model, [{"key": key, **row} for row in rows])


def _read(ledger: Ledger, model: type[Base], key: str) -> pd.DataFrame:
    columns = [column for column in model.__table__.columns if column.name != "key"]
    order = [column for column in columns if column.primary_key]
    query = select(*columns).where(model.__table__.c.key == key).order_by(*order)
    with ledger.reading() as session:
        table = pd.DataFrame(session.execute(query).all(), columns=[column.name for column in columns])
    # Sorted here as well: databases do not agree on the order of letters.
    names = [column.name for column in order]
    return table.astype({"value": float}).sort_values(names, ignore_index=True)


def _rows(model: type[Base], table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows in the order of their key, so that two writers never lock the same rows crosswise."""
    columns = [column.name for column in model.__table__.columns if column.name != "key"]
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(f"table lacks the columns {missing}; expected {columns}.")
    keys = [column.name for column in model.__table__.primary_key if column.name != "key"]
    if table.duplicated(keys).any():
        twice = table.loc[table.duplicated(keys), keys].iloc[0].to_dict()
        raise ValueError(f"table holds {twice} twice; expected one row for each.")
    ordered = table.sort_values(keys)
    # tolist gives Python's own numbers; the drivers know no numpy ones.
    values = [_without_nan(ordered[name].tolist()) for name in columns]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def _without_nan(values: Sequence[Any]) -> list[Any]:
    return [None if value != value else value for value in values]


def _upsert(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    keys = [column.name for column in model.__table__.primary_key]
    statement = _insert(session, model)
    others = {c.name: statement.excluded[c.name] for c in model.__table__.columns if not c.primary_key}
    statement = statement.on_conflict_do_update(index_elements=keys, set_=others)
    for start in range(0, len(rows), ROWS_PER_STATEMENT):
        session.connection().execute(statement, list(rows[start : start + ROWS_PER_STATEMENT]))


def _insert(session: Session, model: type[Base]) -> Any:
    """The dialect's INSERT, which knows ON CONFLICT."""
    dialects: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
    return dialects[session.get_bind().dialect.name](model.__table__)


def _row(instance: Base) -> dict[str, Any]:
    return {column.name: getattr(instance, column.name) for column in instance.__table__.columns}


def _said(decision: GateDecision) -> tuple[str, ...]:
    return (decision.model_version, decision.mode, decision.verdict, as_json(decision.violations))

"""The tables of the ledger: the truth of what is done."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, DateTime, Dialect, ForeignKey, Index, Text, TypeDecorator, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite forgets the time zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The same moment in UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The same moment with its time zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(MappedAsDataclass, DeclarativeBase, kw_only=True):
    """All tables. Text keys are "" where they do not apply, because NULL never equals NULL in a key."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[Any]: JSON,
    }


class Evaluation(Base):
    """One job on one model version, one cohort, one configuration.

    ``status`` is "running", "done" or "failed". ``samples`` is how many samples were evaluated;
    ``checked_at`` is when a later run last found the evaluation unchanged.
    """

    __tablename__ = "evaluations"
    __table_args__ = (Index("ix_evaluations_study_job", "study", "job"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    study: Mapped[str]
    job: Mapped[str]
    mode: Mapped[str]
    model_name: Mapped[str]
    model_version: Mapped[str]
    cohort_digest: Mapped[str]
    configuration: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(default="running")
    started_at: Mapped[datetime] = mapped_column(default_factory=lambda: datetime.now(UTC))
    finished_at: Mapped[datetime | None] = mapped_column(default=None)
    mlflow_run_id: Mapped[str | None] = mapped_column(default=None)
    samples: Mapped[int | None] = mapped_column(default=None)
    checked_at: Mapped[datetime | None] = mapped_column(default=None)


class Score(Base):
    """One metric of one explainer for one subject and class ("" = all of them).

    ``value`` is NULL where undefined; ``n`` samples were averaged, ``n_undefined`` were left out.
    """

    __tablename__ = "scores"

    key: Mapped[str] = mapped_column(ForeignKey("evaluations.key", ondelete="CASCADE"), primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    class_name: Mapped[str] = mapped_column(primary_key=True)
    explainer: Mapped[str] = mapped_column(primary_key=True)
    metric: Mapped[str] = mapped_column(primary_key=True)
    baseline: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float | None]
    n: Mapped[int]
    n_undefined: Mapped[int]


class Share(Base):
    """The share of an explainer's relevance that falls on one part of the input."""

    __tablename__ = "shares"

    key: Mapped[str] = mapped_column(ForeignKey("evaluations.key", ondelete="CASCADE"), primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    class_name: Mapped[str] = mapped_column(primary_key=True)
    explainer: Mapped[str] = mapped_column(primary_key=True)
    part: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float | None]


class Quarantined(Base):
    """A recording that could not be used, and why."""

    __tablename__ = "quarantine"

    cohort_digest: Mapped[str] = mapped_column(primary_key=True)
    recording: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]


class GateDecision(Base):
    """One decision about a model version; their sequence is the history of champions.

    ``verdict`` is "promoted", "refused" or "restored" (a rollback made it the champion again);
    ``violations`` lists the constraints that were not met.
    """

    __tablename__ = "gate_decisions"
    __table_args__ = (Index("ix_gate_decisions_study", "study"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    study: Mapped[str]
    model_name: Mapped[str]
    model_version: Mapped[str]
    mode: Mapped[str]
    verdict: Mapped[str]
    violations: Mapped[list[Any]]
    decided_at: Mapped[datetime] = mapped_column(default_factory=lambda: datetime.now(UTC))


class Baseline(Base):
    """What a version was measured to be when it was promoted: by which evaluation, of which explainer.

    ``digest`` is that of its values; ``made_at`` is when they were first written.
    """

    __tablename__ = "baselines"

    model_name: Mapped[str] = mapped_column(primary_key=True)
    model_version: Mapped[str] = mapped_column(primary_key=True)
    study: Mapped[str]
    evaluation_key: Mapped[str]
    explainer: Mapped[str]
    digest: Mapped[str]
    made_at: Mapped[datetime] = mapped_column(default_factory=lambda: datetime.now(UTC))


class BaselineValue(Base):
    """One measure of one subject of a baseline, over ``n`` samples; ``value`` is NULL where undefined."""

    __tablename__ = "baseline_values"

    model_name: Mapped[str] = mapped_column(primary_key=True)
    model_version: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    measure: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float | None]
    n: Mapped[int]
    sex: Mapped[str | None]
    age_band: Mapped[str | None]


class Look(Base):
    """One look of the watch at what had arrived, by the version that was champion when it began.

    ``key`` is the digest of the version and of what was new; ``number`` counts the version's looks from 1, ``tested``
    those that compared anything, this one included (NULL where it did not): as many have spent of the error rate.
    ``findings`` are the rows of its table. ``mlflow_run_id`` is NULL until the look has been shown.
    """

    __tablename__ = "looks"
    __table_args__ = (UniqueConstraint("model_name", "model_version", "number"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    study: Mapped[str]
    model_name: Mapped[str]
    model_version: Mapped[str]
    number: Mapped[int]
    tested: Mapped[int | None]
    state: Mapped[str]
    message: Mapped[str]
    findings: Mapped[list[Any]]
    mlflow_run_id: Mapped[str | None] = mapped_column(default=None)
    looked_at: Mapped[datetime] = mapped_column(default_factory=lambda: datetime.now(UTC))


class Arrival(Base):
    """One version of a recording that has arrived: it is known by the digest of its files.

    ``recording`` is a keyed hash of its name, which may tell who it is from. ``reason`` says why it could not be used
    and is empty where it was. Of several digests of one recording the one that was seen last counts.
    """

    __tablename__ = "arrivals"

    study: Mapped[str] = mapped_column(primary_key=True)
    recording: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    look: Mapped[str] = mapped_column(ForeignKey("looks.key", ondelete="CASCADE"))
    reason: Mapped[str]
    seen_at: Mapped[datetime] = mapped_column(default_factory=lambda: datetime.now(UTC))


class ArrivedValue(Base):
    """One measure of one subject in a recording that has arrived, over ``n`` samples; NULL where undefined."""

    __tablename__ = "arrived_values"

    look: Mapped[str] = mapped_column(ForeignKey("looks.key", ondelete="CASCADE"), primary_key=True)
    recording: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    measure: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float | None]
    n: Mapped[int]
    sex: Mapped[str | None]
    age_band: Mapped[str | None]

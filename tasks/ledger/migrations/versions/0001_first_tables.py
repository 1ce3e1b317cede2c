"""First tables: evaluations, scores, shares, quarantine, gate decisions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the tables."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "evaluations",
        sa.Column("key", sa.Text(), primary_key=True),
        *_texts("study", "job", "mode", "model_name", "model_version", "cohort_digest"),
        sa.Column("configuration", sa.JSON(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("finished_at", moment),
        sa.Column("mlflow_run_id", sa.Text()),
        sa.Column("samples", sa.Integer()),
        sa.Column("checked_at", moment),
    )
    op.create_index("ix_evaluations_study_job", "evaluations", ["study", "job"])
    op.create_table(
        "scores",
        _evaluation_key(),
        *_key_texts("subject", "class_name", "explainer", "metric", "baseline"),
        sa.Column("value", sa.Float()),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("n_undefined", sa.Integer(), nullable=False),
    )
    op.create_table(
        "shares",
        _evaluation_key(),
        *_key_texts("subject", "class_name", "explainer", "part"),
        sa.Column("value", sa.Float()),
    )
    op.create_table("quarantine", *_key_texts("cohort_digest", "recording"), *_texts("reason"))
    op.create_table(
        "gate_decisions",
        sa.Column("id", sa.Integer(), primary_key=True),
        *_texts("study", "model_name", "model_version", "mode", "verdict"),
        sa.Column("violations", sa.JSON(), nullable=False),
        sa.Column("decided_at", moment, nullable=False),
    )
    op.create_index("ix_gate_decisions_study", "gate_decisions", ["study"])


def downgrade() -> None:
    """Drops the tables, and what is in them."""
    for table in ("gate_decisions", "quarantine", "shares", "scores", "evaluations"):
        op.drop_table(table)


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _key_texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), primary_key=True) for name in names]


def _evaluation_key() -> sa.Column[str]:
    return sa.Column("key", sa.Text(), sa.ForeignKey("evaluations.key", ondelete="CASCADE"), primary_key=True)

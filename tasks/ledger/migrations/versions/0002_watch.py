"""The watch: baselines of promoted versions, looks, what arrived and what was measured of it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the tables."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "baselines",
        *_key_texts("model_name", "model_version"),
        *_texts("study", "evaluation_key", "explainer", "digest"),
        sa.Column("made_at", moment, nullable=False),
    )
    op.create_table("baseline_values", *_key_texts("model_name", "model_version", "subject", "measure"), *_measured())
    op.create_table(
        "looks",
        *_key_texts("key"),
        *_texts("study", "model_name", "model_version"),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("tested", sa.Integer()),
        *_texts("state", "message"),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("mlflow_run_id", sa.Text()),
        sa.Column("looked_at", moment, nullable=False),
        sa.UniqueConstraint("model_name", "model_version", "number"),
    )
    op.create_table(
        "arrivals",
        *_key_texts("study", "recording", "digest"),
        _look(primary_key=False),
        *_texts("reason"),
        sa.Column("seen_at", moment, nullable=False),
    )
    op.create_table(
        "arrived_values", _look(primary_key=True), *_key_texts("recording", "subject", "measure"), *_measured()
    )


def downgrade() -> None:
    """Drops the tables, and what is in them."""
    for table in ("arrived_values", "arrivals", "looks", "baseline_values", "baselines"):
        op.drop_table(table)


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _key_texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), primary_key=True) for name in names]


def _look(*, primary_key: bool) -> sa.Column[str]:
    reference = sa.ForeignKey("looks.key", ondelete="CASCADE")
    return sa.Column("look", sa.Text(), reference, primary_key=primary_key, nullable=False)


def _measured() -> list[sa.Column[Any]]:
    return [
        sa.Column("value", sa.Float()),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("sex", sa.Text()),
        sa.Column("age_band", sa.Text()),
    ]

"""Run by Alembic: the caller hands over its connection, so that its locks and transaction hold here."""

from __future__ import annotations

from alembic import context

from tasks.ledger.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()

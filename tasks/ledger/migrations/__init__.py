"""Alembic's folder: `env.py` is run, `versions` hold one step each."""

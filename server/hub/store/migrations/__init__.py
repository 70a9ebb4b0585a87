"""Alembic migrations; run when the hub starts."""

"""The log of a process: one event a line on standard error, in one format, at one level.

structlog renders the records of the standard library too, so those of uvicorn, alembic and every
other library look like Gnomon's own.
"""

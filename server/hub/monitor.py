"""Reads new windows and predictions, runs the detectors, raises alerts."""

from gnomon.server.hub.store.database import Database


def step(database: Database) -> None:
    """Read what is new since the last step."""

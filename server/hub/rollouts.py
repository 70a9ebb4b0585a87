"""Moves traffic from one version to another in gated steps."""

from gnomon.server.hub.store.database import Database


def step(database: Database) -> None:
    """Take the next step of every running rollout whose gate allows it."""

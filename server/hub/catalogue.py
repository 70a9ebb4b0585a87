"""What the hub knows of a package by its digest; packages never change, so it is kept once read."""

import base64
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from gnomon.server.hub.store import schema

#: More packages than this are in use at once nowhere; the oldest goes first.
_KEPT = 1_000

_VERSION = schema.version.c


@dataclass(frozen=True)
class Known:
    """A package as telemetry needs it."""

    model: str
    version: str


class Catalogue:
    """A cache of packages by digest. Safe to share between threads."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}

    def find(self, connection: Connection, digest: str) -> Known | None:
        """Return the package, or None where the registry does not have it."""
        known = self._known.get(digest)
        if known is None:
            row = connection.execute(
                select(_VERSION.name, _VERSION.version).where(_VERSION.digest == digest)
            ).one_or_none()
            if row is None:
                return None
            known = Known(row.name, row.version)
            if len(self._known) >= _KEPT:
                self._known = {}
            self._known[digest] = known
        return known


def versions(connection: Connection, model: str) -> list[dict[str, Any]]:
    """Return the packages of a model, newest first, as JSON; their envelopes in Base64."""
    rows = connection.execute(
        select(
            _VERSION.name,
            _VERSION.version,
            _VERSION.format,
            _VERSION.digest,
            _VERSION.manifest,
            _VERSION.envelopes,
            _VERSION.published_at,
            _VERSION.publisher,
        )
        .where(_VERSION.name == model)
        .order_by(_VERSION.published_at.desc(), _VERSION.format)
    ).mappings()
    return [{**row, "envelopes": [_base64(one) for one in row["envelopes"]]} for row in rows]


def _base64(envelope: str) -> str:
    return base64.b64encode(envelope.encode()).decode()


def models(connection: Connection) -> list[dict[str, Any]]:
    """Return all models by name, each with its versions and the one that is in service."""
    placements = schema.placement.c
    placed = {
        row.model: row.version
        for row in connection.execute(
            select(placements.model, placements.version).where(placements.ended_at.is_(None))
        )
    }
    found: dict[str, list[str]] = {}
    rows = connection.execute(
        select(_VERSION.name, _VERSION.version).order_by(_VERSION.name, _VERSION.published_at)
    )
    for row in rows:
        listed = found.setdefault(row.name, [])
        if row.version not in listed:
            listed.append(row.version)
    return [
        {"name": name, "versions": listed, "in_service": placed.get(name)}
        for name, listed in found.items()
    ]

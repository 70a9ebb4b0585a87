"""Packages of the registry; they never change, so what was read of them is cached."""

import base64
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select

from gnomon.server.hub import placements
from gnomon.server.hub.store import schema
from gnomon.server.hub.versions import aliases, approvals, decommission, tags
from gnomon.server.hub.versions.approvals import Approval
from gnomon.server.hub.versions.decommission import Decommission

#: Packages that are cached; the oldest is removed first.
_KEPT = 1_000

#: How many packages the list of models looks back.
_NEWEST = 20

_VERSION = schema.version.c
_SHOWN = (
    _VERSION.name,
    _VERSION.version,
    _VERSION.format,
    _VERSION.digest,
    _VERSION.manifest,
    _VERSION.envelopes,
    _VERSION.published_at,
    _VERSION.publisher,
)


@dataclass(frozen=True)
class KnownVersion:
    """A package as telemetry needs it."""

    model: str
    version: str


class Catalogue:
    """A cache of packages by digest. Safe to share between threads."""

    def __init__(self) -> None:
        self._known: dict[str, KnownVersion] = {}

    def find(self, connection: Connection, digest: str) -> KnownVersion | None:
        """Return the package, or None if the registry does not have it."""
        known = self._known.get(digest)
        if known is None:
            row = connection.execute(
                select(_VERSION.name, _VERSION.version).where(_VERSION.digest == digest)
            ).one_or_none()
            if row is None:
                return None
            known = KnownVersion(row.name, row.version)
            if len(self._known) >= _KEPT:
                self._known = {}
            self._known[digest] = known
        return known


@dataclass(frozen=True, slots=True)
class PublishedPackage:
    """A package as published; `envelopes` are DSSE envelopes in Base64, times Unix milliseconds."""

    name: str
    version: str
    format: str
    digest: str
    manifest: dict[str, Any]
    envelopes: list[str]
    published_at: int
    publisher: str


@dataclass(frozen=True, slots=True)
class VersionDetails:
    """A version with its names, its approvals, and its package in each format."""

    name: str
    version: str
    aliases: list[str]
    tags: dict[str, str]
    approvals: list[Approval]
    decommissioned: Decommission | None
    packages: list[PublishedPackage]


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """A model with its newest versions, the newest last, and the versions in service.

    `in_service` is production's version; `environments` has the version by environment.
    """

    name: str
    versions: list[str]
    version_count: int
    in_service: str | None
    environments: dict[str, str]


def versions(
    connection: Connection, model: str, limit: int = 100, offset: int = 0
) -> list[PublishedPackage]:
    """Return a page of a model's packages, newest first.

    Args:
        connection: of an open transaction; it only reads.
        model: the model's name.
        limit: most packages of the page.
        offset: packages before the page.
    """
    return _packages(
        connection,
        select(*_SHOWN)
        .where(_VERSION.name == model)
        .order_by(_VERSION.published_at.desc(), _VERSION.digest.desc())
        .limit(limit)
        .offset(offset),
    )


def version(connection: Connection, model: str, version: str) -> VersionDetails:
    """Return a version with its aliases, tags, approvals and packages.

    Raises:
        UnknownModel: there is no such version.
    """
    aliases.check_version(connection, model, version)
    pair = (model, version)
    return VersionDetails(
        name=model,
        version=version,
        aliases=aliases.of_versions(connection, [pair]).get(pair, []),
        tags=tags.of_versions(connection, [pair]).get(pair, {}),
        approvals=approvals.listing(connection, model, version),
        decommissioned=decommission.find(connection, model, version),
        packages=_packages(
            connection,
            select(*_SHOWN)
            .where(_VERSION.name == model, _VERSION.version == version)
            .order_by(_VERSION.format),
        ),
    )


def _packages(connection: Connection, wanted: Select[Any]) -> list[PublishedPackage]:
    rows = connection.execute(wanted).mappings()
    return [
        PublishedPackage(**{**row, "envelopes": [_base64(one) for one in row["envelopes"]]})
        for row in rows
    ]


def _base64(envelope: str) -> str:
    return base64.b64encode(envelope.encode()).decode()


def models(connection: Connection) -> list[ModelSummary]:
    """Return all models by name."""
    placed = placements.of_all_models(connection)
    counted = connection.execute(
        select(_VERSION.name, func.count(_VERSION.version.distinct()).label("versions"))
        .group_by(_VERSION.name)
        .order_by(_VERSION.name)
    ).all()
    newest = _newest(connection)
    return [
        ModelSummary(
            name=row.name,
            versions=newest[row.name],
            version_count=row.versions,
            in_service=placed[row.name].get(schema.PRODUCTION),
            environments=dict(placed[row.name]),
        )
        for row in counted
    ]


def _newest(connection: Connection) -> dict[str, list[str]]:
    """Return each model's newest versions, the newest last."""
    order = (_VERSION.published_at.desc(), _VERSION.digest.desc())
    place = func.row_number().over(partition_by=_VERSION.name, order_by=order)
    ranked = select(_VERSION.name, _VERSION.version, place.label("place")).subquery().c
    rows = connection.execute(
        select(ranked.name, ranked.version)
        .where(ranked.place <= _NEWEST)
        .order_by(ranked.name, ranked.place.desc())
    )
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for name, version in rows:
        found[name][version] = None
    return {name: list(versions) for name, versions in found.items()}

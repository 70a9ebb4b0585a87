"""Search for packages by manifest, publisher, alias and tag, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, Connection, Select, select, tuple_

from gnomon.runtime.errors import InvalidInput
from gnomon.runtime.packages.manifest import Manifest
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.limits import TimeMs
from gnomon.server.hub.versions import aliases, tags

#: Bytes in the columns of the table `version`.
_OWNER, _TIER, _DATASET, _WORDS = 255, 64, 255, 512

_VERSION = schema.version.c
_SHOWN = (
    _VERSION.name,
    _VERSION.version,
    _VERSION.format,
    _VERSION.digest,
    _VERSION.published_at,
    _VERSION.publisher,
    _VERSION.owner,
    _VERSION.risk_tier,
    _VERSION.dataset,
)


class Search(BaseModel):
    """Conditions of a search; all that are given must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = None
    text: str | None = None
    """Stands somewhere in name, version, publisher or owner, in upper or lower case."""
    alias: str | None = None
    tag: str | None = None
    """`key`, with any value, or `key=value`."""
    format: str | None = None
    publisher: str | None = None
    owner: str | None = None
    risk_tier: str | None = None
    dataset: str | None = None
    """The fingerprint of the dataset."""
    since: TimeMs | None = None
    """Published at this time or later, Unix ms."""
    until: TimeMs | None = None
    """Published before this time, Unix ms."""
    limit: Annotated[int, Field(ge=1, le=1_000)] = 50
    cursor: str | None = None
    """`next` of the page before."""


@dataclass(frozen=True, slots=True)
class FoundPackage:
    """A package that a search found; `published_at` is in Unix milliseconds."""

    name: str
    version: str
    format: str
    digest: str
    published_at: int
    publisher: str
    owner: str
    risk_tier: str
    dataset: str
    aliases: list[str]
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class SearchPage:
    """Packages, newest first, and the cursor of the next page, if there is one."""

    packages: list[FoundPackage]
    next: str | None


def columns_of(manifest: Manifest, publisher: str) -> dict[str, str]:
    """Return the columns of the table `version` by which a package is found; each is cut."""
    return {
        "owner": _cut(manifest.owner, _OWNER),
        "risk_tier": _cut(manifest.risk_tier, _TIER),
        "dataset": _cut(manifest.reproducibility.dataset_fingerprint, _DATASET),
        "words": words_of(manifest.name, manifest.version, publisher, manifest.owner),
    }


def words_of(name: str, version: str, publisher: str, owner: str) -> str:
    """Return the text that a search matches against.

    Args:
        name: of the model.
        version: of the package.
        publisher: who published it.
        owner: as the card says.
    """
    return _cut(f"{name}@{version} {publisher} {owner}".casefold(), _WORDS)


def _cut(text: str, limit: int) -> str:
    # In bytes: PostgreSQL refuses a row whose entry in an index is over 2,700.
    return text.encode(errors="replace")[:limit].decode(errors="ignore")


def search(connection: Connection, wanted: Search) -> SearchPage:
    """Return a page of packages.

    Raises:
        InvalidInput: if the cursor is malformed.
    """
    conditions = _conditions(wanted)
    if wanted.cursor is not None:
        conditions.append(tuple_(_VERSION.published_at, _VERSION.digest) < _parse(wanted.cursor))
    found = select(*_SHOWN)
    if wanted.alias is not None:
        found = _called(found, wanted.alias)
    rows = connection.execute(
        found.where(*conditions)
        .order_by(_VERSION.published_at.desc(), _VERSION.digest.desc())
        .limit(wanted.limit + 1)
    ).all()
    shown = rows[: wanted.limit]
    more = f"{shown[-1].published_at}.{shown[-1].digest}" if len(rows) > len(shown) else None
    pairs = {(row.name, row.version) for row in shown}
    aliased, tagged = aliases.of_versions(connection, pairs), tags.of_versions(connection, pairs)
    packages = [
        FoundPackage(
            **row._mapping,
            aliases=aliased.get((row.name, row.version), []),
            tags=tagged.get((row.name, row.version), {}),
        )
        for row in shown
    ]
    return SearchPage(packages, more)


def _conditions(wanted: Search) -> list[ColumnElement[bool]]:
    equal: Sequence[tuple[ColumnElement[str], str | None]] = (
        (_VERSION.name, wanted.model),
        (_VERSION.format, wanted.format),
        (_VERSION.publisher, wanted.publisher),
        (_VERSION.owner, wanted.owner),
        (_VERSION.risk_tier, wanted.risk_tier),
        (_VERSION.dataset, wanted.dataset),
    )
    conditions = [column == value for column, value in equal if value is not None]
    if wanted.text:
        text = wanted.text.casefold()
        conditions.append(_VERSION.words.contains(text, autoescape=True))
    if wanted.since is not None:
        conditions.append(_VERSION.published_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(_VERSION.published_at < wanted.until)
    if wanted.tag is not None:
        conditions.append(tuple_(_VERSION.name, _VERSION.version).in_(_tagged(wanted.tag)))
    return conditions


def _called(packages: Select[Any], alias: str) -> Select[Any]:
    """Return the packages that an alias stands for.

    The matches are materialised first: PostgreSQL cannot estimate how few there are, and would
    otherwise check each of all packages.
    """
    named = aliases.called(alias).distinct().cte("called")
    found = named.prefix_with("MATERIALIZED", dialect="postgresql")
    return packages.join(
        found, (_VERSION.name == found.c.model) & (_VERSION.version == found.c.version)
    )


def _tagged(tag: str) -> Select[Any]:
    key, separator, value = tag.partition("=")
    columns = schema.tag.c
    tagged = select(columns.model, columns.version).where(columns.key == key)
    return tagged.where(columns.value == value) if separator else tagged


def _parse(cursor: str) -> tuple[int, str]:
    at, _, digest = cursor.partition(".")
    if not at.isascii() or not at.isdecimal() or len(at) > 18:
        raise InvalidInput(f"{cursor[:80]!r} is not a cursor; send `next` of the page before")
    return int(at), digest

"""Aliases: names for a version of a model that move from version to version.

`champion` is the version in service in production and `challenger` the one that a rollout brings
there; both follow from what is placed and rolled out, so they are never set. All others are
set by people.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Select, Subquery, delete, literal, select, tuple_, union_all

from gnomon.runtime.errors import Conflict, InvalidInput, NotFound, UnknownModel
from gnomon.runtime.packages.manifest import NAME_PATTERN
from gnomon.server.hub import placements
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.dialect import insert_into
from gnomon.server.hub.store.rollout_state import ACTIVE

CHAMPION = "champion"
CHALLENGER = "challenger"

_SHOWN = 5

_ALIAS = schema.alias.c
_PLACEMENT = schema.placement.c
_ROLLOUT = schema.rollout.c
_VERSION = schema.version.c


def _parts() -> dict[str, Select[Any]]:
    """Return what each alias that follows from something is, as model, alias and version."""
    return {
        CHAMPION: select(
            _PLACEMENT.model, literal(CHAMPION).label("alias"), _PLACEMENT.version
        ).where(placements.IS_CURRENT, _PLACEMENT.environment == schema.PRODUCTION),
        CHALLENGER: select(
            _ROLLOUT.model,
            literal(CHALLENGER).label("alias"),
            _ROLLOUT.candidate.label("version"),
        ).where(_ROLLOUT.state.in_(ACTIVE), _ROLLOUT.environment == schema.PRODUCTION),
    }


def table() -> Subquery:
    """Return all aliases as a table of `model`, `alias` and `version`."""
    own = select(_ALIAS.model, _ALIAS.alias, _ALIAS.version)
    return union_all(own, *_parts().values()).subquery("aliases")


def called(alias: str) -> Select[Any]:
    """Return model and version of all that an alias stands for."""
    own = select(_ALIAS.model, _ALIAS.alias, _ALIAS.version).where(_ALIAS.alias == alias)
    named = _parts().get(alias, own).subquery().c
    return select(named.model, named.version)


def of_model(connection: Connection, model: str) -> dict[str, str]:
    """Return a model's aliases, each with its version, by name."""
    aliases = table()
    rows = connection.execute(
        select(aliases.c.alias, aliases.c.version)
        .where(aliases.c.model == model)
        .order_by(aliases.c.alias)
    )
    return {row.alias: row.version for row in rows}


def of_versions(
    connection: Connection, pairs: Iterable[tuple[str, str]]
) -> Mapping[tuple[str, str], list[str]]:
    """Return the aliases of versions, each given as model and version."""
    aliases = table()
    rows = connection.execute(
        select(aliases)
        .where(tuple_(aliases.c.model, aliases.c.version).in_(list(pairs)))
        .order_by(aliases.c.alias)
    )
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        found[row.model, row.version].append(row.alias)
    return found


def resolve(connection: Connection, model: str, alias: str) -> str:
    """Return the version that an alias stands for.

    Raises:
        NotFound: if the model has no such alias.
    """
    known = of_model(connection, model)
    if alias not in known:
        there = ", ".join(known) or "none"
        raise NotFound(f"{model} has no alias {alias!r}; there are: {there}", kind="alias")
    return known[alias]


def assign(change: Change, model: str, alias: str, version: str) -> None:
    """Let an alias stand for a version, in the caller's change.

    Args:
        change: the caller's open transaction; its audit record is part of it.
        model: the model's name.
        alias: the name, which may be of another version until now.
        version: what it stands for.

    Raises:
        InvalidInput: if the alias is not plain.
        Conflict: if it is `champion` or `challenger`.
        UnknownModel: if there is no such version.
    """
    _check(alias)
    change.check("set_alias", model)
    check_version(change.connection, model, version)
    previous = of_model(change.connection, model).get(alias)
    if previous == version:
        return
    values = {"version": version, "set_at": now_ms(), "actor": change.actor}
    change.execute(
        insert_into(change.connection, schema.alias)
        .values(model=model, alias=alias, **values)
        .on_conflict_do_update(index_elements=["model", "alias"], set_=values)
    )
    change.audit(
        "set_alias", f"{model}@{version}", {"alias": alias, "previous": previous}, model=model
    )


def remove(change: Change, model: str, alias: str) -> None:
    """Remove an alias, in the caller's change.

    Raises:
        Conflict: if it is `champion` or `challenger`.
        NotFound: if the model has no such alias.
    """
    _check(alias)
    version = resolve(change.connection, model, alias)
    change.execute(delete(schema.alias).where(_ALIAS.model == model, _ALIAS.alias == alias))
    change.audit("remove_alias", f"{model}@{version}", {"alias": alias}, model=model)


def check_version(connection: Connection, model: str, version: str) -> None:
    """Check that a version is in the registry.

    Raises:
        UnknownModel: if it is not.
    """
    known = connection.scalar(
        select(_VERSION.digest).where(_VERSION.name == model, _VERSION.version == version).limit(1)
    )
    if known is not None:
        return
    newest = connection.scalars(
        select(_VERSION.version)
        .where(_VERSION.name == model)
        .order_by(_VERSION.published_at.desc())
        .limit(_SHOWN)
    )
    there = ", ".join(dict.fromkeys(f"{model}@{one}" for one in newest))
    if not there:
        raise UnknownModel(f"there is no model {model!r} in the registry")
    raise UnknownModel(f"there is no {model}@{version} in the registry; the newest are {there}")


def _check(alias: str) -> None:
    if alias in (CHAMPION, CHALLENGER):
        raise Conflict(f"{alias!r} follows from what is placed and rolled out; it cannot be set")
    if not re.fullmatch(NAME_PATTERN, alias):
        raise InvalidInput(
            f"alias {alias[:80]!r} should begin with a letter and have at most 63 of a-z, 0-9, _, -"
        )


def set_alias(change: Change, model: str, alias: str, version: str | None) -> dict[str, str]:
    """Let an alias stand for a version, or, without one, for none any more; return all.

    Args:
        change: the caller's open transaction; its audit record is part of it.
        model: the model's name.
        alias: the name.
        version: what it stands for; None removes it.
    """
    if version is None:
        remove(change, model, alias)
    else:
        assign(change, model, alias, version)
    return of_model(change.connection, model)

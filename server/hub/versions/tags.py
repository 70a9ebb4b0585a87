"""Tags of versions: keys with values, set by people."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, delete, select, tuple_

from gnomon.runtime.errors import InvalidInput
from gnomon.runtime.packages.manifest import NAME_PATTERN
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.dialect import insert_into
from gnomon.server.hub.versions.aliases import check_version

_VALUE_CHARACTERS = 255
_TAG = schema.tag.c


def of_versions(
    connection: Connection, pairs: Iterable[tuple[str, str]]
) -> Mapping[tuple[str, str], dict[str, str]]:
    """Return the tags of versions, each given as model and version."""
    rows = connection.execute(
        select(schema.tag)
        .where(tuple_(_TAG.model, _TAG.version).in_(list(pairs)))
        .order_by(_TAG.key)
    )
    found: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for row in rows:
        found[row.model, row.version][row.key] = row.value
    return found


def assign(change: Change, model: str, version: str, tags: Mapping[str, str | None]) -> None:
    """Set tags of a version, in the caller's change; None takes one away.

    Args:
        change: the caller's open transaction; its audit record is part of it.
        model: the model's name.
        version: the version's name.
        tags: key → value; None takes it away.

    Raises:
        InvalidInput: if a key is not plain or a value is too long.
        UnknownModel: if there is no such version.
    """
    check_version(change.connection, model, version)
    for key, value in tags.items():
        _check(key, value)
        change.execute(
            delete(schema.tag).where(_TAG.model == model, _TAG.version == version, _TAG.key == key)
        )
        if value is not None:
            statement = insert_into(change.connection, schema.tag)
            change.execute(statement.values(model=model, version=version, key=key, value=value))
    if tags:
        change.audit("tag", f"{model}@{version}", dict(tags), model=model)


def _check(key: str, value: str | None) -> None:
    if not re.fullmatch(NAME_PATTERN, key):
        raise InvalidInput(
            f"tag {key[:80]!r} should begin with a letter and have at most 63 of a-z, 0-9, _, -"
        )
    if value is not None and len(value) > _VALUE_CHARACTERS:
        raise InvalidInput(
            f"the value of tag {key!r} has {len(value)} characters; at most {_VALUE_CHARACTERS}"
        )


def set_tags(
    change: Change, model: str, version: str, given: Mapping[str, str | None]
) -> dict[str, str]:
    """Set tags of a version, None takes one away; return all.

    Args:
        change: the caller's open transaction; its audit record is part of it.
        model: the model's name.
        version: the version's name.
        given: key → value; None takes it away.
    """
    assign(change, model, version, given)
    return of_versions(change.connection, [(model, version)]).get((model, version), {})

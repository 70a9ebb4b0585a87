"""Operations of the registry by name: over gRPC the same as over REST.

The name is that of the REST route's function, the parameters are decoded strictly, and REST and
gRPC call the same function. The actor's right is checked when the change is recorded.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json, to_jsonable_python
from sqlalchemy import Connection

from gnomon.runtime.errors import InvalidInput
from gnomon.server.hub import placements
from gnomon.server.hub.access import environments
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.rights import Actor
from gnomon.server.hub.versions import (
    aliases,
    approvals,
    catalogue,
    compare,
    history,
    runs,
    search,
    tags,
)

_MAXIMUM_BYTES = 1 << 20
_Name = Annotated[str, Field(min_length=1, max_length=64)]


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Nothing(_Parameters):
    pass


class _Model(_Parameters):
    name: _Name


class _Page(_Model):
    limit: Annotated[int, Field(ge=1, le=1_000)] = 100
    offset: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0


class _Version(_Model):
    version: _Name


class _Alias(_Model):
    alias: _Name


class _SetAlias(_Alias):
    version: _Name | None = None


class _SetTags(_Version):
    tags: Annotated[dict[str, str | None], Field(max_length=64)]


class _Two(_Model):
    left: _Name
    right: _Name


class _When(_Parameters):
    when: str
    model: str | None = None
    environment: str | None = None


class _Where(_Parameters):
    model: str | None = None
    environment: str | None = None


@dataclass(frozen=True, slots=True)
class HubOperation:
    """An operation: the type of its parameters, and a function that reads or one that changes."""

    parameters: type[BaseModel]
    read: Callable[[Connection, Any], Any] | None = None
    change: Callable[[Change, Any], Any] | None = None


#: Name of the REST route's function → operation.
OPERATIONS: Mapping[str, HubOperation] = {
    "list_models": HubOperation(_Nothing, lambda c, _: catalogue.models(c)),
    "list_versions": HubOperation(
        _Page, lambda c, p: catalogue.versions(c, p.name, p.limit, p.offset)
    ),
    "get_version": HubOperation(_Version, lambda c, p: catalogue.version(c, p.name, p.version)),
    "search_versions": HubOperation(search.Search, search.search),
    "list_aliases": HubOperation(_Model, lambda c, p: aliases.of_model(c, p.name)),
    "get_alias": HubOperation(
        _Alias,
        lambda c, p: catalogue.version(c, p.name, aliases.resolve(c, p.name, p.alias)),
    ),
    "get_lineage": HubOperation(_Version, lambda c, p: history.lineage(c, p.name, p.version)),
    "compare_versions": HubOperation(
        _Two, lambda c, p: compare.compare(c, p.name, p.left, p.right)
    ),
    "ran_at": HubOperation(
        _When, lambda c, p: history.ran_at(c, history.Span.parse(p.when), p.model, p.environment)
    ),
    "list_placements": HubOperation(
        _Where, lambda c, p: placements.listing(c, p.model, p.environment)
    ),
    "list_environments": HubOperation(_Nothing, lambda c, _: environments.listing(c)),
    "list_approvals": HubOperation(_Version, lambda c, p: approvals.listing(c, p.name, p.version)),
    "set_alias": HubOperation(
        _SetAlias, change=lambda c, p: aliases.set_alias(c, p.name, p.alias, p.version)
    ),
    "set_tags": HubOperation(
        _SetTags, change=lambda c, p: tags.set_tags(c, p.name, p.version, p.tags)
    ),
    "record_run": HubOperation(runs.RunRecord, change=runs.record_run),
}


def run_operation(
    database: Database, actor: Actor, name: str, parameters: Mapping[str, Any]
) -> Any:
    """Return the answer to an operation, in values that JSON can hold.

    Args:
        database: the hub's state.
        actor: who calls; a change is recorded under this name, with its rights.
        name: a key of `OPERATIONS`.
        parameters: what the operation takes, by name.

    Raises:
        InvalidInput: there is no such operation, or its parameters are not what it takes.
        GnomonError: the operation rejects the call.
    """
    answer = _run(database, actor, name, lambda kind: kind.model_validate(parameters))
    return to_jsonable_python(answer)


def ask(database: Database, actor: Actor, name: str, parameters: bytes) -> bytes:
    """Return the answer to an operation as JSON; as `run_operation`, with parameters as JSON.

    Args:
        database: the hub's; the operation is one transaction.
        actor: who calls; a change is recorded under this name, with its rights.
        name: a key of `OPERATIONS`.
        parameters: a JSON object, at most 1 MiB.

    Raises:
        InvalidInput: also if the parameters are larger than 1 MiB.
    """
    if len(parameters) > _MAXIMUM_BYTES:
        raise InvalidInput(
            f"parameters of {len(parameters)} bytes; at most {_MAXIMUM_BYTES} are allowed"
        )
    data = parameters or b"{}"
    return to_json(_run(database, actor, name, lambda kind: kind.model_validate_json(data)))


def _run(
    database: Database, actor: Actor, name: str, decode: Callable[[type[BaseModel]], BaseModel]
) -> Any:
    operation = OPERATIONS.get(name)
    if operation is None:
        raise InvalidInput(
            f"there is no operation {name[:80]!r}; there are {', '.join(OPERATIONS)}"
        )
    wanted = _decode(operation.parameters, decode)
    if operation.read is not None:
        with database.read() as connection:
            return operation.read(connection, wanted)
    with database.change(actor) as change:
        return operation.change(change, wanted) if operation.change else None


def _decode(kind: type[BaseModel], decode: Callable[[type[BaseModel]], BaseModel]) -> BaseModel:
    try:
        return decode(kind)
    except ValidationError as error:
        details = [
            {"field": ".".join(map(str, one["loc"])), "message": one["msg"]}
            for one in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        text = "; ".join(f"{one['field'] or 'parameters'}: {one['message']}" for one in details)
        raise InvalidInput(text[:1_000], details=details) from error

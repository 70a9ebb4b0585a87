"""Labels: true values, joined to predictions by request id, in either order of arrival.

The same value again changes nothing. Another value corrects the first if its source is of higher
precedence, or the same (`label_sources`); otherwise it is reported to the sender, and changes
nothing. A label of a request without a known prediction waits for it.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, update

from gnomon.runtime.errors import InvalidInput, UnknownModel
from gnomon.server.hub.monitoring import losses, waiting
from gnomon.server.hub.monitoring.label_sources import KnownLabel, LabelSource, Precedence
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.dialect import BATCH, insert_into
from gnomon.server.hub.store.limits import (
    MAXIMUM_TIME_MS,
    MAXIMUM_VALUE,
    is_comparable,
    is_time,
)
from gnomon.server.hub.store.schema import label, prediction, version


class LabelRow(NamedTuple):
    """One label of one request, from a node or from a person."""

    model: str
    request_id: str
    at: int  # Unix milliseconds, the data's own time
    value: float


#: Parts of a label that are bounded: name, test, and what is right.
_BOUNDS: tuple[tuple[str, Callable[[LabelRow], bool], str], ...] = (
    (
        "value",
        lambda row: is_comparable(row.value),
        f"a finite number of at most {MAXIMUM_VALUE:g} in magnitude",
    ),
    (
        "at",
        lambda row: is_time(row.at),
        f"Unix milliseconds of at most {MAXIMUM_TIME_MS:.0e} in magnitude",
    ),
)


class IngestResult(NamedTuple):
    """The result of storing a batch of labels."""

    new: int
    repeated: int  # known already, with this very value
    corrected: int  # known with another value, which this source may replace
    waiting: int  # of the new ones: no prediction of such a request is known yet
    refused: int  # not stored: too many labels of the model wait for a prediction
    contradicting: tuple[str, ...]  # request ids known with another value, which stays


@dataclass(slots=True)
class _Sorted:
    """What a batch of labels of one model changes."""

    fresh: dict[str, LabelRow] = field(default_factory=dict)
    corrected: dict[str, LabelRow] = field(default_factory=dict)
    before: dict[str, float] = field(default_factory=dict)  # values that are corrected
    confirmed: list[str] = field(default_factory=list)  # by a source of higher precedence
    repeated: int = 0
    corrections: int = 0
    contradicting: list[str] = field(default_factory=list)


def ingest(connection: Connection, labels: Iterable[LabelRow], source: LabelSource) -> IngestResult:
    """Store labels in the caller's transaction; each counts once, however often it is sent.

    Raises:
        InvalidInput: if a label's value or time is out of bounds; nothing is stored then.
        UnknownModel: if the registry has no such model; nothing is stored then.
    """
    rows = list(labels)
    check(rows)
    for model in {row.model for row in rows}:
        check_model(connection, model)
    results = [_ingest_batch(connection, model, batch, source) for model, batch in _batches(rows)]
    return IngestResult(
        new=sum(one.new for one in results),
        repeated=sum(one.repeated for one in results),
        corrected=sum(one.corrected for one in results),
        waiting=sum(one.waiting for one in results),
        refused=sum(one.refused for one in results),
        contradicting=tuple(request for one in results for request in one.contradicting),
    )


def check_model(connection: Connection, model: str) -> None:
    """Check that the registry has a model; raises `UnknownModel` if it has none of that name."""
    known = connection.scalar(select(version.c.digest).where(version.c.name == model).limit(1))
    if known is None:
        raise UnknownModel(f"there is no model {model!r} in the registry")


def _ingest_batch(
    connection: Connection, model: str, batch: Sequence[LabelRow], source: LabelSource
) -> IngestResult:
    request_ids = [row.request_id for row in batch]
    predictors = _predictors(connection, model, request_ids)
    known = _known(connection, model, request_ids)
    found = _sort(batch, source, known, predictors)
    unmatched = [request for request in found.fresh if request not in predictors]
    refused = unmatched[waiting.room(connection, model) :] if unmatched else []
    for request in refused:
        del found.fresh[request]
    kept = len(unmatched) - len(refused)
    waiting.add(connection, model, kept)
    _store(connection, found.fresh.values(), known, predictors)
    _replace(connection, model, found, known)
    losses.join(connection, model, [request for request in found.fresh if request in predictors])
    losses.correct(connection, model, found.before)
    return IngestResult(
        len(found.fresh),
        found.repeated,
        found.corrections,
        kept,
        len(refused),
        tuple(found.contradicting),
    )


def _sort(
    batch: Sequence[LabelRow],
    source: LabelSource,
    known: dict[str, KnownLabel],
    predictors: Mapping[str, Collection[str]],
) -> _Sorted:
    """Sort labels by what they change; `known` becomes what is known afterwards."""
    found = _Sorted()
    for row in batch:
        request, nodes = row.request_id, predictors.get(row.request_id, ())
        precedence, before = source.precedence(nodes), known.get(row.request_id)
        now = KnownLabel(row.value, source.name, precedence)
        if before is None:
            found.fresh[request], known[request] = row, now
        elif before.value == row.value:
            found.repeated += 1
            if precedence > before.precedence:
                known[request] = now
                found.confirmed.append(request)
        elif before.may_be_corrected(source, precedence, nodes):
            found.corrections += 1
            known[request] = now
            if request in found.fresh:
                found.fresh[request] = row
            else:
                found.corrected[request] = row
                found.before.setdefault(request, before.value)
        else:
            found.contradicting.append(request)
    return found


def check(rows: Sequence[LabelRow]) -> None:
    """Check values and times of labels; raises `InvalidInput` if one is out of bounds."""
    for name, holds, expected in _BOUNDS:
        wrong = [row for row in rows if not holds(row)]
        if wrong:
            raise InvalidInput(
                f"{name} of the label of request {wrong[0].request_id!r} of model "
                f"{wrong[0].model!r} is {getattr(wrong[0], name)}, expected {expected}",
                details=[
                    {"field": name, "request_id": row.request_id, "rule": "range"} for row in wrong
                ],
            )


def _batches(rows: Iterable[LabelRow]) -> Iterator[tuple[str, list[LabelRow]]]:
    by_model: dict[str, list[LabelRow]] = defaultdict(list)
    for row in rows:
        by_model[row.model].append(row)
    for model, of_model in by_model.items():
        for start in range(0, len(of_model), BATCH):
            yield model, of_model[start : start + BATCH]


def _known(connection: Connection, model: str, request_ids: Sequence[str]) -> dict[str, KnownLabel]:
    columns = label.c
    rows = connection.execute(
        select(columns.request_id, columns.value, columns.source, columns.precedence).where(
            columns.model == model, columns.request_id.in_(request_ids)
        )
    )
    return {
        row.request_id: KnownLabel(row.value, row.source, Precedence(row.precedence))
        for row in rows
    }


def _predictors(
    connection: Connection, model: str, request_ids: Sequence[str]
) -> dict[str, set[str]]:
    """Return the nodes whose sampled predictions of a request are known."""
    rows = connection.execute(
        select(prediction.c.request_id, prediction.c.node).where(
            prediction.c.model == model, prediction.c.request_id.in_(request_ids)
        )
    )
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        found[row.request_id].add(row.node)
    return found


def _store(
    connection: Connection,
    rows: Iterable[LabelRow],
    known: Mapping[str, KnownLabel],
    predictors: Collection[str],
) -> None:
    received_at = now_ms()
    values = [
        row._asdict()
        | {
            "received_at": received_at,
            "source": known[row.request_id].source,
            "precedence": known[row.request_id].precedence.value,
            "waiting": row.request_id not in predictors,
        }
        for row in rows
    ]
    if values:
        connection.execute(insert_into(connection, label).on_conflict_do_nothing(), values)


def _replace(
    connection: Connection, model: str, found: _Sorted, known: Mapping[str, KnownLabel]
) -> None:
    """Write corrected values, and who confirmed a value, over what was stored."""
    for request in {**found.corrected, **dict.fromkeys(found.confirmed)}:
        now, row = known[request], found.corrected.get(request)
        values: dict[str, Any] = {"source": now.source, "precedence": now.precedence.value}
        if row is not None:
            values |= {"value": row.value, "at": row.at, "received_at": now_ms()}
        connection.execute(
            update(label)
            .where(label.c.model == model, label.c.request_id == request)
            .values(**values)
        )

"""The flights in order of time, by day and source, ready to be predicted.

The processes of the demo read their share from one file of NumPy arrays; they need neither pandas
nor Arrow.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gnomon.demo.schema import INPUTS, LABEL
from gnomon.runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from gnomon.pipeline.datasets.dataset import Dataset

DAY_SECONDS = 86_400
#: How long after a flight has landed its time in the air is known.
LABEL_DELAY_SECONDS = DAY_SECONDS

_INPUT_PREFIX = "input:"
Array = NDArray[Any]


@dataclass(frozen=True)
class Flights:
    """Some flights as columns of one length, in order of time.

    `at` and `label_at` are epoch seconds, the scheduled departure and when the label comes;
    `labels` are minutes, NaN if there will never be one; `sources` are numbers of predicting nodes.
    `columns` has the model's inputs: texts as objects, numbers with NaN for what is missing.
    """

    request_ids: Array
    at: Array
    labels: Array
    label_at: Array
    sources: Array
    columns: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.at)

    def take(self, which: Array | slice) -> "Flights":
        """Return those of a mask, of indices or of a slice."""
        return Flights(
            self.request_ids[which],
            self.at[which],
            self.labels[which],
            self.label_at[which],
            self.sources[which],
            {name: values[which] for name, values in self.columns.items()},
        )

    def of_source(self, source: int) -> "Flights":
        """Return the share of one source."""
        return self.take(self.sources == source)

    def rows(self) -> Iterator[tuple[str, float, dict[str, Any]]]:
        """Yield request id, time and row as `Agent.predict` takes them; None is missing."""
        lists = [_plain(values) for values in self.columns.values()]
        ids, times = self.request_ids.tolist(), self.at.tolist()
        for position, values in enumerate(zip(*lists, strict=True)):
            row = dict(zip(self.columns, values, strict=True))
            yield str(ids[position]), float(times[position]), row

    def labelled(self) -> "Flights":
        """Return those that have a label, in the order in which the labels come."""
        known = np.flatnonzero(~np.isnan(self.labels))
        return self.take(known[np.argsort(self.label_at[known], kind="stable")])


@dataclass(frozen=True)
class Day:
    """All flights of one day in UTC."""

    date: date
    flights: Flights


class Replay:
    """The prepared flights of some days."""

    def __init__(self, flights: Flights) -> None:
        self.flights = flights

    @classmethod
    def prepare(
        cls, dataset: "Dataset", start: date, end: date, *, sources: int, thin: int = 1
    ) -> "Replay":
        """Take the flights from day `start` up to, not including, `end`.

        A flight's source and, with `thin` n > 1, whether it is among the one in n that are kept,
        follow from its request id alone.

        Args:
            dataset: the flights.
            start: first day.
            end: the day after the last.
            sources: over how many they are dealt.
            thin: keep one flight in this many.
        """
        table = dataset.table
        at = table["at"].cast("int64").to_numpy()
        chosen = (at >= _midnight(start)) & (at < _midnight(end))
        ids = np.array(table["request_id"].to_pylist())
        hashes = np.array([_hash(one) for one in ids.tolist()], dtype=np.uint64)
        chosen &= (hashes >> np.uint64(32)) % np.uint64(thin) == 0
        labels = table[LABEL].to_numpy().astype(np.float64)
        delay = np.nan_to_num(table["dep_delay"].to_numpy().astype(np.float64))
        landed = at + 60.0 * (delay + np.nan_to_num(labels))
        everything = Flights(
            ids,
            at.astype(np.float64),
            labels,
            landed + LABEL_DELAY_SECONDS,
            (hashes % np.uint64(sources)).astype(np.int64),
            dataset.columns(INPUTS),
        )
        return cls(everything.take(np.flatnonzero(chosen)))

    def write(self, path: Path) -> None:
        """Write a file that `open` reads."""
        flights = self.flights
        columns: dict[str, Any] = {
            _INPUT_PREFIX + name: values.astype(str) if values.dtype == object else values
            for name, values in flights.columns.items()
        }
        np.savez(
            path,
            request_ids=flights.request_ids,
            at=flights.at,
            labels=flights.labels,
            label_at=flights.label_at,
            sources=flights.sources,
            **columns,
        )

    @classmethod
    def open(cls, path: Path) -> "Replay":
        """Read what `write` wrote.

        Raises:
            ConfigurationError: if the file is missing or another kind of file.
        """
        try:
            with np.load(path) as stored:
                arrays = {name: stored[name] for name in stored.files}
            columns = {
                name.removeprefix(_INPUT_PREFIX): _as_objects(arrays.pop(name))
                for name in list(arrays)
                if name.startswith(_INPUT_PREFIX)
            }
            return cls(Flights(**arrays, columns=columns))
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationError(f"{path} holds no prepared flights: {error}") from error

    def days(self, start: date | None = None, end: date | None = None) -> Iterator[Day]:
        """Yield the days that have flights, from `start` up to, not including, `end`."""
        days = self.flights.at // DAY_SECONDS
        for number in np.unique(days).tolist():
            day = datetime.fromtimestamp(number * DAY_SECONDS, UTC).date()
            if (start is None or day >= start) and (end is None or day < end):
                low, high = np.searchsorted(days, [number, number + 1])
                yield Day(day, self.flights.take(slice(int(low), int(high))))


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _hash(text: str) -> int:
    """Return 64 bits that are the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _as_objects(values: Array) -> Array:
    return values.astype(object) if values.dtype.kind == "U" else values


def _plain(values: Array) -> list[Any]:
    """Return Python values with None for NaN."""
    if values.dtype.kind != "f":
        return list(values.tolist())
    return [None if value != value else value for value in values.tolist()]

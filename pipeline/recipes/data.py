"""The data that a recipe names: read, checked against its fingerprint, split, put into blocks."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gnomon.pipeline.datasets.csv_dialect import DEFAULT_DIALECT, CsvDialect
from gnomon.pipeline.datasets.dataset import Dataset, DatasetError
from gnomon.pipeline.datasets.pieces import ARROW_ENDINGS
from gnomon.pipeline.recipes.file import Recipe
from gnomon.runtime.errors import ConfigurationError

__all__ = ["RecipeData", "read_data", "read_files"]


@dataclass(frozen=True, slots=True)
class RecipeData:
    """All data, and its training and test parts; `test` is None if nothing is measured."""

    recipe: Recipe
    all: Dataset
    train: Dataset
    test: Dataset | None

    def blocks(self, data: Dataset) -> NDArray[np.int64] | None:
        """Return the number of each row's block, int64 of shape (rows,), in order of time.

        Rows of one day (UTC), or with one value in the column of blocks, are a block. None if the
        recipe names no block.

        Raises:
            DatasetError: there is no such column, or rows without a value in it.
        """
        name = self.recipe.data.block
        if not name:
            return None
        _require(self.recipe, data, name, "data.block")
        column = data.table.column(name)
        if column.null_count:
            raise DatasetError(f"column {name!r} has {column.null_count} rows without a block")
        if pa.types.is_timestamp(column.type):
            column = pc.floor_temporal(column, unit="day").cast(pa.int64())
        return np.asarray(pc.rank(column, tiebreaker="dense")).astype(np.int64)

    def split_record(self) -> dict[str, Any]:
        """Return how to repeat the split, with the rows and fingerprint of each part."""
        test = self.recipe.test
        record: dict[str, Any] = {"kind": "none" if test is None else "files"}
        if test is not None and test.time:
            boundary = test.boundary.isoformat()
            record = {"kind": "time", "column": test.time, "boundary": boundary}
        sides = {"train": self.train} | ({"test": self.test} if self.test else {})
        for side, data in sides.items():
            record |= {f"{side}_rows": len(data), f"{side}_fingerprint": data.fingerprint}
        return record


def read_data(recipe: Recipe) -> RecipeData:
    """Read what the recipe names.

    Raises:
        DatasetError: a file cannot be read, holds nothing, or is not what `data.fingerprint` says.
        ConfigurationError: a column that the recipe names is not there.
    """
    everything = _query(recipe) if recipe.data.sql else _read(recipe, recipe.data.files)
    expected = recipe.data.fingerprint
    if expected and everything.fingerprint != expected:
        raise DatasetError(
            f"{recipe.path}: data.fingerprint mismatch: expected {expected}, "
            f"got {everything.fingerprint} of {len(everything)} rows"
        )
    everything = _with_inputs(recipe, everything)
    if recipe.data.block:
        _require(recipe, everything, recipe.data.block, "data.block")
    test, train, tested = recipe.test, everything, None
    if test is not None and test.files:
        tested = _with_inputs(recipe, _read(recipe, test.files))
    elif test is not None:
        split = everything.split_by_time(test.time, test.boundary)
        train, tested = split.train, split.test
    if test is not None and tested is not None:
        for name in (test.label, *test.segments):
            _require(recipe, tested, name, "test:")
    return RecipeData(recipe, everything, train, tested)


def read_files(paths: list[Path], dialect: CsvDialect = DEFAULT_DIALECT) -> Dataset:
    """Read tables by their file extensions: parts of one dataset.

    Raises:
        ConfigurationError: their extensions differ, or are of no table.
        DatasetError: one cannot be read.
    """
    endings = {path.suffix.lower() for path in paths}
    if endings == {".csv"}:
        return Dataset.from_csv(paths, dialect)
    if endings == {".parquet"}:
        return Dataset.from_parquet(paths)
    if endings and endings <= set(ARROW_ENDINGS):
        return Dataset.from_arrow(paths)
    raise ConfigurationError(
        "data files should all end in .csv, or all in .parquet, or all in .arrow: "
        + ", ".join(map(str, paths))
    )


def _read(recipe: Recipe, files: tuple[str, ...]) -> Dataset:
    """Read tables of the recipe; the URI is built from the paths in it."""
    data = read_files([recipe.beside(file) for file in files], recipe.data.dialect)
    if not len(data):
        raise DatasetError(f"{recipe.path}: there is no row in {', '.join(files)}")
    return Dataset(_with_instants(data.table), recipe.data.uri or " ".join(files))


def _query(recipe: Recipe) -> Dataset:
    """Query the database that the recipe names by an environment variable."""
    variable = recipe.data.connection
    url = os.environ.get(variable, "")
    if not url:
        raise recipe.error(f"data.connection: the environment variable {variable!r} is not set")
    data = Dataset.from_sql(recipe.data.sql, url, variable)
    if not len(data):
        raise DatasetError(f"{recipe.path}: the query of data.sql gives no row")
    return Dataset(_with_instants(data.table), recipe.data.uri or data.uri)


def _with_inputs(recipe: Recipe, data: Dataset) -> Dataset:
    """Return the data with the columns of all inputs under the names of their fields."""
    for name, one in recipe.inputs.items():
        _require(recipe, data, one.column, f"inputs.{name}:")
    try:
        return data.with_aliases({name: one.column for name, one in recipe.inputs.items()})
    except DatasetError as error:
        raise recipe.error(f"[inputs]: {error}") from error


def _require(recipe: Recipe, data: Dataset, column: str, where: str) -> None:
    if column not in data.table.column_names:
        known = ", ".join(data.table.column_names)
        raise recipe.error(f"{where} {column!r} is no column of {data.uri}; there are {known}")


def _with_instants(table: pa.Table) -> pa.Table:
    """Return the table with dates as instants: midnight in UTC."""
    for position, column in enumerate(table.columns):
        if pa.types.is_date(column.type):
            instants = column.cast(pa.timestamp("ms"))
            table = table.set_column(position, table.column_names[position], instants)
    return table

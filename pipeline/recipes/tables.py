"""The tables of a recipe, as records."""

import math
from datetime import UTC, datetime, time
from typing import Any, Literal

import msgspec

from gnomon.pipeline.datasets.csv_dialect import CsvDialect, dialect_of

__all__ = [
    "DataTable",
    "GoldenTable",
    "ModelTable",
    "PackingTable",
    "RecipeTable",
    "TensorTable",
    "TestTable",
    "TrainingTable",
]


class RecipeTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the recipe's tables."""


class ModelTable(RecipeTable, frozen=True, kw_only=True):
    """The model file, beside the recipe; its format follows from its extension unless given."""

    file: str
    format: str = ""


class DataTable(RecipeTable, frozen=True, kw_only=True):
    """The training data. `block` names the column by whose values (or days) rows belong together.

    They are `files`, or the rows of the query `sql`, sent to the database whose URL the
    environment variable `connection` holds. `missing`, `encoding`, `delimiter`, `decimal`,
    `text` (columns that are read as texts) and `ragged` say how CSV files are written. `uri` is the
    official location of the data; `fingerprint`, if given, is what they must have.
    """

    files: tuple[str, ...] = ()
    sql: str = ""
    connection: str = ""
    missing: tuple[str, ...] | None = None
    encoding: str = ""
    delimiter: str = ""
    decimal: str = "."
    text: tuple[str, ...] = ()
    ragged: Literal["refuse", "fill"] = "refuse"
    block: str = ""
    uri: str = ""
    fingerprint: str = ""

    @property
    def dialect(self) -> CsvDialect:
        """How CSV files are written.

        Raises:
            DatasetError: the settings contradict each other.
        """
        return dialect_of(
            self.missing,
            encoding=self.encoding,
            delimiter=self.delimiter,
            decimal=self.decimal,
            text=self.text,
            ragged=self.ragged,
        )


class TestTable(RecipeTable, frozen=True, kw_only=True):
    """Data to measure on: `files`, or the rows of the data from the time `start` in column `time`.

    `label` is the column with the truth for the output `output` (default: the first). `segments`
    are columns by whose values the rows are measured apart too.
    """

    label: str
    files: tuple[str, ...] = ()
    time: str = ""
    start: Any = None
    output: str = ""
    metrics: Literal["", "regression", "classification"] = ""
    segments: tuple[str, ...] = ()

    @property
    def boundary(self) -> datetime:
        """Return `start` as an instant; a date is its midnight in UTC."""
        start = self.start
        if not isinstance(start, datetime):
            start = datetime.combine(start, time())
        return start if start.tzinfo else start.replace(tzinfo=UTC)


class PackingTable(RecipeTable, frozen=True, kw_only=True):
    """How categories and missing values are packed, unless an input says otherwise."""

    categories: Literal["code", "onehot"] = "code"
    missing: float = math.nan


class TensorTable(RecipeTable, frozen=True, kw_only=True):
    """One of the model's input tensors: its name, datatype and the inputs in it, in order."""

    name: str
    fields: tuple[str, ...]
    dtype: str = "FP32"


class GoldenTable(RecipeTable, frozen=True, kw_only=True):
    """The number of golden samples."""

    rows: int = 20


class TrainingTable(RecipeTable, frozen=True, kw_only=True):
    """What the manifest records of the training, which was done elsewhere."""

    code_version: str = ""
    code_clean: bool = False
    seed: int = 0
    parameters: dict[str, Any] = {}

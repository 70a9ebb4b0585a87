"""Columns of a CSV file, read for a package: names become fields, and texts stay texts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from gnomon.core.fields import Field
from gnomon.pipeline.datasets.csv_dialect import CsvDialect
from gnomon.pipeline.datasets.pieces import csv_columns
from gnomon.runtime.packages.column_names import field_names

__all__ = ["fields_of_columns", "read_texts_of"]


def fields_of_columns(columns: Sequence[str]) -> dict[str, str]:
    """Return the field that each column becomes."""
    return dict(zip(columns, field_names(columns), strict=True))


def read_texts_of(path: Path, dialect: CsvDialect, inputs: Sequence[Field]) -> CsvDialect:
    """Return a dialect that reads columns of text fields as texts, also if they look like numbers.

    Args:
        path: a CSV file, of which only the header is read.
        dialect: how it is written.
        inputs: the fields of the contract.

    Raises:
        DatasetError: the file cannot be read, or has no header.
    """
    texts = {field.name for field in inputs if field.kind.is_text}
    names: Mapping[str, str] = fields_of_columns(csv_columns(path, dialect))
    wanted = (column for column, name in names.items() if name in texts)
    return msgspec.structs.replace(dialect, text=tuple(dict.fromkeys((*dialect.text, *wanted))))

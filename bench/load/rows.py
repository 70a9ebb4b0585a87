"""Rows of a load test: made from what a server says of its tensors, or read from a file."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.bench.load.model_client import ServedModel, ServedTensor
from gnomon.runtime.errors import ConfigurationError

__all__ = ["Row", "make_rows", "read_rows"]

#: Values by input: a number or text, or a list of them for a tensor of more than one element.
Row = Mapping[str, Any]

#: Elements of one tensor that rows are made for.
MOST_ELEMENTS = 1 << 20
_INTEGERS = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
_FLOATS = ("FP16", "BF16", "FP32", "FP64")


def make_rows(model: ServedModel, count: int, seed: int) -> list[Row]:
    """Return random rows that fit the tensors, and the schema of each field if it is known.

    Numbers are of the standard normal law, or of the uniform one within a field's range; whole
    numbers are from 0 to 9; texts are of the field's categories, or `a`.

    Raises:
        ConfigurationError: a tensor's datatype is unknown, or it is too large.
    """
    rng = np.random.default_rng(seed)
    return [
        {
            tensor.name: _value(tensor, model.fields.get(tensor.name, {}), rng)
            for tensor in model.inputs
        }
        for _ in range(count)
    ]


def read_rows(path: Path) -> list[Row]:
    """Read rows from JSON lines, or from CSV (`.csv`): numbers where a value looks like one.

    Raises:
        ConfigurationError: the file cannot be read, or has no rows.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".csv":
            rows = [_numbers(one) for one in csv.DictReader(text.splitlines())]
        else:
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path} cannot be read as rows: {error}") from error
    if not rows or not all(isinstance(one, dict) for one in rows):
        raise ConfigurationError(f"{path} should have a JSON object for each row, and at least one")
    return rows


def _numbers(row: Mapping[str | Any, str | Any]) -> Row:
    return {name: _number(value) for name, value in row.items()}


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except (TypeError, ValueError):
            continue
    return text


def elements(tensor: ServedTensor) -> int:
    """Return how many elements one row of a tensor has: axes of any size count as 1.

    Raises:
        ConfigurationError: they are too many.
    """
    count = 1
    for size in tensor.shape:
        count *= max(size, 1)
    if count > MOST_ELEMENTS:
        raise ConfigurationError(
            f"the tensor {tensor.name!r} of shape {list(tensor.shape)} has {count} elements; rows "
            f"are made for at most {MOST_ELEMENTS}. Give rows with --rows"
        )
    return count


def _value(tensor: ServedTensor, schema: Mapping[str, Any], rng: np.random.Generator) -> Any:
    count = elements(tensor)
    if count > 1:
        return [_element(tensor, {}, rng) for _ in range(count)]
    return _element(tensor, schema, rng)


def _element(tensor: ServedTensor, schema: Mapping[str, Any], rng: np.random.Generator) -> Any:
    if choices := [one for one in schema.get("enum") or () if one is not None]:
        return choices[int(rng.integers(len(choices)))]
    bounds = _range(schema)
    if tensor.datatype in _FLOATS:
        return float(rng.normal() if bounds is None else rng.uniform(*bounds))
    if tensor.datatype in _INTEGERS:
        low, high = (0, 9) if bounds is None else (int(bounds[0]), int(bounds[1]))
        return int(rng.integers(low, high + 1))
    if tensor.datatype == "BOOL":
        return bool(rng.integers(2))
    if tensor.datatype == "BYTES":
        return "a"
    raise ConfigurationError(
        f"the tensor {tensor.name!r} has the datatype {tensor.datatype!r}, which is not one of the "
        "Open Inference Protocol"
    )


def _range(schema: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the range of a field, 10 wide if one end is open; None if both are."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None and high is None:
        return None
    low = float(low) if low is not None else float(high or 0) - 10.0
    high = float(high) if high is not None else low + 10.0
    return (low, high) if low <= high else None

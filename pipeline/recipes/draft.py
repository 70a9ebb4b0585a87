"""A first recipe for a model file and its training data, which builds as it is."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc

from gnomon.pipeline.datasets.dataset import Dataset, DatasetError
from gnomon.pipeline.recipes.build import build_recipe
from gnomon.pipeline.recipes.data import read_files
from gnomon.pipeline.recipes.file import parse_recipe
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.column_names import field_names
from gnomon.runtime.raw_models.model_file import read_model_file
from gnomon.runtime.raw_models.probe import ModelTensors, TensorInfo, read_tensors

__all__ = ["DraftOptions", "draft_recipe"]

#: Columns of a message, at most.
_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class DraftOptions:
    """What a draft cannot know from the files.

    Attributes:
        name: the model's name.
        version: the version's name.
        label: the column with the truth; no input of the model. Empty: the data have none.
        block: the column by which rows resemble each other; no input. Empty: none.
        test: files to measure on; only with a label.
        leave_out: further columns that are no inputs.
    """

    name: str
    version: str = "1"
    label: str = ""
    block: str = ""
    test: tuple[Path, ...] = ()
    leave_out: tuple[str, ...] = ()


def draft_recipe(
    model: Path,
    train: Sequence[Path],
    options: DraftOptions,
    folder: Path = Path(),
    columns: Sequence[str] = (),
) -> str:
    """Return the text of a recipe. It has been built once, so that it builds as it is.

    Args:
        model: a model file of any format that `gnomon.runtime.raw_models.model_file` reads.
        train: the training data: CSV, Parquet or Arrow, one or several parts.
        options: names, and which columns are no inputs.
        folder: where the recipe will be; all paths start there.
        columns: those of the model's only tensor in its order, if the file does not name them.

    Raises:
        ConfigurationError: the columns of the data are not those of the model; the message names
            both.
        DatasetError: the data cannot be read.
        PackageError: the file is not a model.
    """
    if options.test and not options.label:
        raise ConfigurationError("test data need a label: name the column with the truth")
    format, content = read_model_file(folder / model)
    tensors = read_tensors(format, content, str(model))
    table = read_files([folder / path for path in train]).table
    data = Dataset(table, " ".join(map(str, train)))
    named = tuple(columns) or tensors.columns
    inputs, is_by_name = _inputs(model, tensors, named, _candidates(data, options))
    text = "\n".join(
        [
            *_head(model, train, options),
            *_input_lines(data, inputs, is_by_name),
            *_output_lines(model, tensors),
            *_test_lines(options),
        ]
    )
    with TemporaryDirectory() as trial:
        build_recipe(parse_recipe(text, folder / "recipe.toml"), Path(trial) / "package", None)
    return text


def _candidates(data: Dataset, options: DraftOptions) -> list[str]:
    """Return the columns that may be inputs."""
    names = data.table.column_names
    left_out = [one for one in (options.label, options.block, *options.leave_out) if one]
    for name in left_out:
        if name not in names:
            raise DatasetError(f"{name!r} is no column of {data.uri}; there are {_listed(names)}")
    return [name for name in names if name not in left_out]


def _inputs(
    model: Path, tensors: ModelTensors, names: Sequence[str], columns: Sequence[str]
) -> tuple[list[str], bool]:
    """Return the columns in the order in which the model takes them, and whether it names them."""
    named = list(names)
    if not named and len(tensors.inputs) > 1:
        named = [one.name for one in tensors.inputs]
    by_field = dict(zip(field_names(columns), columns, strict=True))
    if named:
        found = [by_field.get(name, name) for name in named]
        if absent := [name for name in found if name not in columns]:
            raise ConfigurationError(
                f"{model} takes {_listed(named)}; the data have no column {absent[0]!r}, but "
                f"{_listed(columns)}"
            )
        return found, True
    (tensor,) = tensors.inputs
    if tensor.width not in (-1, len(columns)):
        raise ConfigurationError(
            f"{model} takes {tensor.width} columns and does not name them; the data have "
            f"{len(columns)}: {_listed(columns)}; name those that are no inputs (--label, "
            "--block, --leave-out)"
        )
    return list(columns), False


def _head(model: Path, train: Sequence[Path], options: DraftOptions) -> list[str]:
    return [
        f"name = {_text(options.name)}",
        f"version = {_text(options.version)}",
        'owner = ""                      # who answers for it',
        'card = ""                       # what it is for, and what not',
        "",
        "[model]",
        f"file = {_text(str(model))}",
        "",
        "[data]",
        f"files = {_texts(map(str, train))}",
        f"block = {_text(options.block)}"
        if options.block
        else '# block = "day"                # rows with one value here resemble each other',
        "",
    ]


def _input_lines(data: Dataset, columns: Sequence[str], is_by_name: bool) -> list[str]:
    lines = ["# Kinds and ranges are derived from the data; say what you know better."]
    if not is_by_name:
        lines.append(
            "# CHECK: the model does not name its columns, so these are taken in the data's order."
        )
    lines.append("[inputs]")
    for field, column in zip(field_names(columns), columns, strict=True):
        values = data.table.column(column)
        if not _is_number(values.type):
            raise ConfigurationError(
                f"column {column!r} of {data.uri} holds {values.type}, and the model takes "
                "numbers: write the recipe by hand and say how it was encoded (encode), or leave "
                "the column out"
            )
        attributes = [] if field == column else [f"from = {_text(column)}"]
        if pc.any(pc.is_null(values, nan_is_null=True)).as_py():
            attributes.append("nullable = true")
        lines.append(f"{field} = {{{', '.join(attributes)}}}")
    return [*lines, ""]


def _output_lines(model: Path, tensors: ModelTensors) -> list[str]:
    usable = [one for one in tensors.outputs if one.dtype is not None]
    if not usable:
        raise ConfigurationError(f"{model} gives no numbers, so no package can be made of it")
    lines = ["[outputs]"]
    for name, tensor in zip(field_names([one.name for one in usable]), usable, strict=True):
        lines.append(f"{name} = {{tensor = {_text(tensor.name)}}}")
    lines += [f"# left out: {_shown(one)}" for one in tensors.outputs if one.dtype is None]
    return [*lines, ""]


def _test_lines(options: DraftOptions) -> list[str]:
    if not options.test:
        return []
    return [
        "[test]",
        f"files = {_texts(map(str, options.test))}",
        f"label = {_text(options.label)}",
        "",
    ]


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def _shown(tensor: TensorInfo) -> str:
    return f"{tensor.name} ({tensor.type}), which is no numbers"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _text(value: str) -> str:
    """Return a text as TOML writes it; JSON's form of a text is one of TOML's."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _texts(values: Iterable[str]) -> str:
    return f"[{', '.join(map(_text, values))}]"

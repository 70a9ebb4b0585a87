"""A recipe: the TOML file that describes how a user's model becomes a package.

This module only parses and validates. `gnomon.pipeline.recipes.build` builds the package.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import fields as dataclass_fields
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gnomon.core.fields import ContractError, Field, Rule
from gnomon.pipeline.datasets.row_encoding import DatasetError
from gnomon.pipeline.recipes.tables import (
    DataTable,
    GoldenTable,
    ModelTable,
    PackingTable,
    TensorTable,
    TestTable,
    TrainingTable,
)
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.column_names import describe_column, field_names
from gnomon.runtime.packages.manifest import CardSections, Deployment, Needs, check_reference

__all__ = ["Input", "Output", "Recipe", "parse_recipe", "read_recipe"]

Record = TypeVar("Record", bound=msgspec.Struct)

#: The keys of an input's table beside the attributes of a field.
_PACKING_KEYS = ("encode", "missing", "from")
_FIELD_KEYS = tuple(one.name for one in dataclass_fields(Field) if one.name != "name")


class _Recipe(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    version: str
    model: dict[str, Any]
    data: dict[str, Any]
    inputs: dict[str, dict[str, Any]]
    outputs: dict[str, dict[str, Any]]
    owner: str = ""
    licence: str = ""
    card: str = ""
    card_sections: dict[str, Any] = {}
    risk_tier: str = ""
    rules: list[dict[str, Any]] = []
    packing: dict[str, Any] = {}
    tensors: list[dict[str, Any]] = []
    golden: dict[str, Any] = {}
    test: dict[str, Any] | None = None
    training: dict[str, Any] = {}
    needs: dict[str, Any] = {}
    deployment: dict[str, Any] = {}


class Input(msgspec.Struct, frozen=True):
    """One input: overrides of the field that the data suggest, its packing, and its column."""

    overrides: Mapping[str, Any]
    encode: str
    missing: float
    column: str


class Output(msgspec.Struct, frozen=True):
    """One output: the tensor behind it (empty: the output's name), and the field's attributes."""

    tensor: str
    attributes: Mapping[str, Any]


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed recipe: every table has valid keys and types. The risk tier "" is not named."""

    path: Path
    text: str
    name: str
    version: str
    risk_tier: str
    about: Mapping[str, Any]
    model: ModelTable
    data: DataTable
    inputs: Mapping[str, Input]
    outputs: Mapping[str, Output]
    rules: tuple[Rule, ...]
    tensors: tuple[TensorTable, ...]
    golden: GoldenTable
    test: TestTable | None
    training: TrainingTable

    @property
    def reference(self) -> str:
        """Return `name@version`."""
        return f"{self.name}@{self.version}"

    def beside(self, file: str) -> Path:
        """Return the path of a file that the recipe names."""
        return self.path.parent / file

    def error(self, message: str) -> ConfigurationError:
        """Return the error for something that is wrong with the recipe."""
        return ConfigurationError(f"{self.path}: {message}")


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; raises as `parse_recipe`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: not readable as TOML: {error}") from error
    return parse_recipe(text, path)


def parse_recipe(text: str, path: Path) -> Recipe:
    """Read a recipe from its text; the files that it names are beside `path`.

    Raises:
        ConfigurationError: it is not TOML, or a key is unknown, missing or wrong; the message names
            the key and what would be right.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not readable as TOML: {error}") from error
    reader = _Reader(path)
    top = reader.convert(document, _Recipe, "")
    try:
        check_reference(top.name, top.version)
    except ValueError as error:
        raise reader.error(str(error)) from error
    if not top.inputs or not top.outputs:
        side = "outputs" if top.inputs else "inputs"
        raise reader.error(f"[{side}] is empty; name at least one")
    packing = reader.convert(top.packing, PackingTable, "packing")
    return Recipe(
        path=path,
        text=text,
        name=top.name,
        version=top.version,
        risk_tier=top.risk_tier,
        about={
            "owner": top.owner,
            "licence": top.licence,
            "card": top.card,
            "card_sections": (
                reader.convert(top.card_sections, CardSections, "card_sections")
                if top.card_sections
                else None
            ),
            "needs": reader.convert(top.needs, Needs, "needs"),
            "deployment": reader.convert(top.deployment, Deployment, "deployment"),
        },
        model=reader.convert(top.model, ModelTable, "model"),
        data=reader.data(top.data),
        inputs={name: reader.input(name, one, packing) for name, one in top.inputs.items()},
        outputs={name: reader.output(name, one) for name, one in top.outputs.items()},
        rules=reader.rules(top.rules),
        tensors=reader.tensors(top.tensors, top.inputs),
        golden=reader.golden(top.golden),
        test=reader.test(top.test, top.outputs),
        training=reader.convert(top.training, TrainingTable, "training"),
    )


class _Reader:
    """Turns tables into records; every error names the file and the key."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def error(self, message: str) -> ConfigurationError:
        return ConfigurationError(f"{self._path}: {message}")

    def convert(self, table: Mapping[str, Any], kind: type[Record], where: str) -> Record:
        known = msgspec.structs.fields(kind)
        self._check_keys(table, [field.name for field in known], where)
        prefix = f"{where}." if where else ""
        for field in known:
            if field.required and field.name not in table:
                raise self.error(f"{prefix}{field.name} is missing")
        try:
            return msgspec.convert(table, kind)
        except msgspec.ValidationError as error:
            reason, _, place = str(error).partition(" - at `$.")
            raise self.error(f"{prefix}{place.rstrip('`') or where}: {reason}") from error

    def data(self, table: Mapping[str, Any]) -> DataTable:
        data = self.convert(table, DataTable, "data")
        if bool(data.files) == bool(data.sql):
            raise self.error(
                "data: give either files (CSV, Parquet or Arrow), or sql and connection"
            )
        if bool(data.sql) != bool(data.connection):
            raise self.error(
                "data.connection should name the environment variable that holds the URL of the "
                "database that the query is sent to"
            )
        try:
            _ = data.dialect
        except DatasetError as error:
            raise self.error(f"data: {error}") from error
        return data

    def input(self, name: str, table: Mapping[str, Any], packing: PackingTable) -> Input:
        where = f"inputs.{name}"
        (field,) = field_names([name])
        if field != name:
            raise self.error(
                f"[inputs]: {name!r} cannot be the name of a field; write "
                f'{field} = {{from = "{name}"}} for that column'
            )
        self._check_keys(table, [*_FIELD_KEYS, *_PACKING_KEYS], where)
        missing = table.get("missing", packing.missing)
        if isinstance(missing, bool) or not isinstance(missing, int | float):
            raise self.error(
                f"{where}.missing should be the number that stands for a missing value"
            )
        encode = table.get("encode", packing.categories)
        if encode not in ("value", "code", "onehot"):
            raise self.error(f"{where}.encode is {encode!r}; use value, code or onehot")
        column = table.get("from", name)
        if not isinstance(column, str):
            raise self.error(f"{where}.from should be the name of a column")
        described = {} if column == name else {"description": describe_column(column)}
        attributes = {key: value for key, value in table.items() if key not in _PACKING_KEYS}
        return Input({**described, **attributes}, encode, float(missing), column)

    def output(self, name: str, table: Mapping[str, Any]) -> Output:
        where = f"outputs.{name}"
        self._check_keys(table, [*_FIELD_KEYS, "tensor"], where)
        tensor = table.get("tensor", "")
        if not isinstance(tensor, str):
            raise self.error(f"{where}.tensor should be the name of one of the model's outputs")
        return Output(tensor, {key: value for key, value in table.items() if key != "tensor"})

    def rules(self, tables: list[dict[str, Any]]) -> tuple[Rule, ...]:
        try:
            return tuple(Rule.from_dict(table) for table in tables)
        except ContractError as error:
            raise self.error(f"[[rules]]: {error}") from error

    def tensors(
        self, tables: list[dict[str, Any]], inputs: Mapping[str, Any]
    ) -> tuple[TensorTable, ...]:
        tensors = tuple(self.convert(table, TensorTable, "tensors") for table in tables)
        for tensor in tensors:
            if unknown := [name for name in tensor.fields if name not in inputs]:
                raise self.error(
                    f"tensors {tensor.name!r}: field {unknown[0]!r} is no input; "
                    f"there are {', '.join(inputs)}"
                )
        return tensors

    def golden(self, table: Mapping[str, Any]) -> GoldenTable:
        golden = self.convert(table, GoldenTable, "golden")
        if golden.rows < 1:
            raise self.error(f"golden.rows is {golden.rows}; a package needs at least 1")
        return golden

    def test(self, table: Mapping[str, Any] | None, outputs: Mapping[str, Any]) -> TestTable | None:
        if table is None:
            return None
        test = self.convert(table, TestTable, "test")
        if bool(test.files) == bool(test.time):
            raise self.error("test: give either files, or time and start to split the data by")
        if test.time and not isinstance(test.start, date):
            raise self.error(
                f"test.start should be a date or time such as 2026-03-01, got {test.start!r}"
            )
        if test.output and test.output not in outputs:
            raise self.error(f"test.output {test.output!r} is not one of {', '.join(outputs)}")
        return test

    def _check_keys(self, table: Mapping[str, Any], known: list[str], where: str) -> None:
        if unknown := [key for key in table if key not in known]:
            key = f"{where}.{unknown[0]}" if where else unknown[0]
            raise self.error(f"unknown key {key}; known are {', '.join(known)}")

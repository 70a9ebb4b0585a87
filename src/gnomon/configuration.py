"""Settings from a TOML file, the environment and flags, each with the source of its value.

Each part of Gnomon has its settings as one frozen dataclass (`HubSettings`, `NodeSettings`, …).
This module fills it. The environment is read here and nowhere else.
"""

import dataclasses
import os
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gnomon.runtime.errors import ConfigurationError

Settings = TypeVar("Settings")

DEFAULT_FILE = Path("gnomon.toml")


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """The value of a setting, and its source."""

    name: str
    value: Any
    source: str


def read_settings_file(path: str | None) -> tuple[Mapping[str, Any], str]:
    """Return the tables of the settings file and its name; both empty if there is no file.

    Raises:
        ConfigurationError: the file cannot be read as TOML.
    """
    file = Path(path) if path else DEFAULT_FILE
    if not path and not file.exists():
        return {}, ""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8")), str(file)
    except (tomllib.TOMLDecodeError, OSError) as error:
        raise ConfigurationError(f"{file}: not readable as TOML: {error}") from error


def resolve(
    settings_type: type[Settings],
    section: str,
    *,
    file: str | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> tuple[Settings, list[Origin]]:
    """Fill one settings dataclass, and return it with the source of each value.

    Args:
        settings_type: the dataclass.
        section: its table in the file, and part of the names of its environment variables.
        file: path of the TOML file; None: `gnomon.toml`, if there is one.
        environment: the variables; None: those of the process.
        flags: value by name of the setting; None values do not count.

    Raises:
        ConfigurationError: for an unknown setting, a wrong type or a missing value; it names the
            setting and its source.
    """
    tables, file_name = read_settings_file(file)
    environment = os.environ if environment is None else environment
    table = tables.get(section, {})
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{file_name}: [{section}] should be a table")
    fields = {field.name: field for field in dataclasses.fields(typing.cast(Any, settings_type))}
    _refuse_unknown(table, fields, f"{file_name} [{section}]")
    _refuse_unknown(flags or {}, fields, "flags")
    origins: list[Origin] = []
    values: dict[str, Any] = {}
    hints = typing.get_type_hints(settings_type)
    for name, field in fields.items():
        variable = f"GNOMON_{section}_{name}".upper()
        found = _find(name, variable, table, file_name, environment, flags or {})
        if found is None:
            origins.append(Origin(name, _default(field, section, variable), "default"))
            continue
        value, source = found
        values[name] = _convert(value, hints[name], f"{section}.{name} from {source}")
        origins.append(Origin(name, values[name], source))
    try:
        return settings_type(**values), origins
    except ValueError as error:
        raise ConfigurationError(f"[{section}]: {error}") from error


def _find(
    name: str,
    variable: str,
    table: Mapping[str, Any],
    file_name: str,
    environment: Mapping[str, str],
    flags: Mapping[str, Any],
) -> tuple[Any, str] | None:
    """Return the value from the source of the highest priority, and the source's name."""
    if flags.get(name) is not None:
        return flags[name], f"flag --{name.replace('_', '-')}"
    if variable in environment:
        return environment[variable], f"environment {variable}"
    if name in table:
        return table[name], file_name
    return None


def _default(field: "dataclasses.Field[Any]", section: str, variable: str) -> Any:
    """Return a field's default; raise if it has none."""
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    raise ConfigurationError(
        f"{section}.{field.name} is not set: give --{field.name.replace('_', '-')}, "
        f"{variable}, or {field.name} under [{section}] in gnomon.toml"
    )


def _convert(value: Any, hint: Any, where: str) -> Any:
    """Convert a text or TOML value to the setting's type."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if isinstance(value, str) and any(typing.get_origin(option) is tuple for option in options):
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        return msgspec.convert(value, hint, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{where}: {error}") from error


def _decode(kind: type, value: Any) -> Any:
    """Convert a text to a path; msgspec converts all other types."""
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError


def _refuse_unknown(given: Mapping[str, Any], known: Mapping[str, Any], where: str) -> None:
    """Raise for unknown settings; the message lists the known ones."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ConfigurationError(
            f"{where}: unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )

"""Settings from a TOML file, the environment and flags, each with the source of its value.

Each part of Gnomon has its settings as one frozen dataclass (`HubSettings`, `NodeSettings`, …).
This module fills it. The environment is read here and nowhere else.
"""

import dataclasses
import difflib
import logging
import os
import tomllib
import types
import typing
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gnomon.runtime.errors import ConfigurationError

Settings = TypeVar("Settings")

_log = logging.getLogger(__name__)

DEFAULT_FILE = Path("gnomon.toml")

#: Sections that a settings file may have.
SECTION_NAMES = frozenset(
    ("agent", "builder", "command", "hub", "log", "node", "pipeline", "serve", "stream")
)
#: Variables of the commands that call a hub, which begin like those of its settings.
_CLIENT_VARIABLES = frozenset(
    f"GNOMON_HUB_{name}" for name in ("URL", "API_KEY", "API_KEY_FILE", "AUTHORITY_FILE")
)
#: How messages of msgspec name a kind of value, and what a person writes.
_WORDS = {"`bool`": "true or false", "`int`": "a whole number", "`float`": "a number"}


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

    An unknown variable that looks like one of the section's is logged: other programs set
    variables too.

    Raises:
        ConfigurationError: for an unknown section or setting, a wrong type or a missing value; it
            names the setting and its source.
    """
    tables, file_name = read_settings_file(file)
    _check_sections(tables, section, file_name)
    environment = os.environ if environment is None else environment
    table = tables.get(section, {})
    fields = {field.name: field for field in dataclasses.fields(typing.cast(Any, settings_type))}
    _refuse_unknown(table, fields, f"{file_name} [{section}]")
    _refuse_unknown(flags or {}, fields, "flags")
    _log_unknown_variables(environment, section, fields)
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
        told = str(error)
        for written, words in _WORDS.items():
            told = told.replace(written, words)
        shown = f": {value[:80]!r}" if isinstance(value, str) else ""
        raise ConfigurationError(f"{where}: {told}{shown}") from error


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
            f"{where}: unknown setting {', '.join(unknown)}{_suggest(unknown[0], known)}; "
            f"known are {', '.join(sorted(known))}"
        )


def _check_sections(tables: Mapping[str, Any], section: str, file_name: str) -> None:
    """Refuse what no command reads: such settings would be ignored in silence."""
    known = SECTION_NAMES | {section}
    for name, table in tables.items():
        if not isinstance(table, Mapping):
            raise ConfigurationError(
                f"{file_name}: {name} is outside of every section; settings are below a line "
                f"such as [{section}]; sections are "
                f"{', '.join(sorted(known))}"
            )
        if name not in known:
            raise ConfigurationError(
                f"{file_name}: unknown section [{name}]{_suggest(name, known)}; known are "
                f"{', '.join(sorted(known))}"
            )


def _log_unknown_variables(
    environment: Mapping[str, str], section: str, fields: Mapping[str, Any]
) -> None:
    prefix = f"GNOMON_{section}_".upper()
    for variable in sorted(set(environment) - _CLIENT_VARIABLES):
        name = variable.removeprefix(prefix).lower()
        hint = _suggest(name, fields) if variable.startswith(prefix) and name not in fields else ""
        # Without a near name it is more likely another program's, such as Kubernetes'.
        if hint:
            _log.warning("the variable %s names no setting of [%s]%s", variable, section, hint)


def _suggest(name: str, known: Collection[str]) -> str:
    """Return a question about the nearest known name; empty if none is near."""
    near = difflib.get_close_matches(name, list(known), 1, 0.7)
    return f" (did you mean {near[0]}?)" if near else ""

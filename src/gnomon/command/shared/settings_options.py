"""Command-line flags made from a settings dataclass, so that each setting is written once."""

import dataclasses
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gnomon.command.shared.log_options import log_options, set_up_log_of
from gnomon.command.shared.setting_comments import comments_of
from gnomon.command.shared.settings_sections import settings_type
from gnomon.configuration import resolve

Command = Callable[..., Any]


class _SettingOption(click.Option):
    """A flag whose help is the comment of its setting, read only if help is shown."""

    def __init__(self, *names: Any, section: str, default_text: str, **options: Any) -> None:
        super().__init__(*names, **options)
        self._section = section
        self._default_text = default_text

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the flag and its help."""
        assert self.name is not None  # noqa: S101 - it is given
        comment = comments_of(settings_type(self._section)).get(self.name, "")
        self.help = f"{comment}{self._default_text} [{self._section}.{self.name}]"
        return super().get_help_record(ctx)


class SettingsCommand(click.Command):
    """A command whose flags are the settings of its sections; made when help or a call needs it."""

    sections: tuple[str, ...] = ()
    is_long_running = False

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's own parameters, one flag for each setting, and those of the log."""
        return [*super().get_params(ctx), *_flags(self.sections), *log_options()]

    def invoke(self, ctx: click.Context) -> Any:
        """Set up the log, then run the command."""
        set_up_log_of(ctx, is_long_running=self.is_long_running)
        return super().invoke(ctx)


def settings_command(*sections: str, is_long_running: bool = False) -> type[SettingsCommand]:
    """Return the class of a command that takes the settings of these sections as flags.

    Args:
        sections: names of sections of `gnomon.toml`.
        is_long_running: whether it runs until it is stopped; then its log begins at info.
    """
    members = {"sections": sections, "is_long_running": is_long_running}
    return type("SettingsCommand", (SettingsCommand,), members)


def load_settings(section: str, config_file: str | None, flags: dict[str, Any]) -> Any:
    """Return the settings of a section from file, environment and these flags.

    Raises:
        ConfigurationError: a setting is unknown, missing or out of range.
    """
    names = {field.name for field in dataclasses.fields(settings_type(section))}
    own = {name: value for name, value in flags.items() if name in names}
    return resolve(settings_type(section), section, file=config_file, flags=own)[0]


def _flags(sections: tuple[str, ...]) -> list[click.Parameter]:
    flags: dict[str, click.Parameter] = {}
    for section in sections:
        kind = settings_type(section)
        hints = typing.get_type_hints(kind)
        for field in dataclasses.fields(kind):
            flags.setdefault(field.name, _flag(section, field.name, hints[field.name], field))
    return list(flags.values())


def _flag(section: str, name: str, hint: Any, field: "dataclasses.Field[Any]") -> click.Parameter:
    """Return one flag; it is a text, and `gnomon.configuration` gives it its type."""
    default = "" if field.default is dataclasses.MISSING else field.default
    return _SettingOption(
        [f"--{name.replace('_', '-')}", name],
        metavar=_metavar(hint),
        section=section,
        default_text=f" Default: {default}." if default not in ("", None, ()) else "",
    )


def _metavar(hint: Any) -> str:
    for kind, word in ((Path, "PATH"), (int, "NUMBER"), (float, "NUMBER")):
        if hint is kind or kind in typing.get_args(hint):
            return word
    return "A,B,…" if typing.get_origin(hint) is tuple else "TEXT"

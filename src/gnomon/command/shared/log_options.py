"""`--log-level` and `--log-format`, which every command has, and the log that they set up.

Imports wait until a command runs: `--help` needs none of them.
"""

import os
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gnomon.logs.settings import LogSettings

_NAMES = ("log_level", "log_format")


def log_options() -> list[click.Option]:
    """Return the two flags."""
    return [
        click.Option(
            ["--log-level"],
            metavar="LEVEL",
            help="Setting log.level: debug, info, warning or error (default: info for what runs "
            "until it is stopped, else warning).",
        ),
        click.Option(
            ["--log-format"],
            metavar="FORMAT",
            help="Setting log.format: text or json (default text), one event a line on stderr.",
        ),
    ]


def defer_log_of(ctx: click.Context, config_file: str | None) -> None:
    """Have the log set up at the first record, as the root command's flags and settings say.

    Raises:
        ConfigurationError: a setting of the log is wrong.
    """
    import logging
    from pathlib import Path

    from gnomon.logs.deferred import DeferredLogHandler, install_handler

    settings: LogSettings | None = None
    variables = {f"GNOMON_{name.upper()}" for name in _NAMES}
    is_set = any(ctx.params.get(name) for name in _NAMES) or variables & os.environ.keys()
    if is_set or config_file or Path("gnomon.toml").exists():
        settings = _log_settings(ctx.params, config_file)

    def set_up() -> None:
        from gnomon.logs.setup import set_up_logging

        set_up_logging(settings, logging.WARNING)

    level = settings.threshold(logging.WARNING) if settings else logging.WARNING
    install_handler(DeferredLogHandler(set_up), level)


def set_up_log_of(ctx: click.Context, *, is_long_running: bool) -> None:
    """Set up the log by the flags of this command, then of the root command, then settings.

    The flags are taken out of the command's parameters.

    Raises:
        ConfigurationError: a setting of the log is wrong.
    """
    import logging

    from gnomon.logs.setup import set_up_logging

    root = ctx.find_root().params
    flags = {name: ctx.params.pop(name, None) or root.get(name) for name in _NAMES}
    automatic = logging.INFO if is_long_running else logging.WARNING
    set_up_logging(_log_settings(flags, ctx.obj), automatic)


def _log_settings(flags: dict[str, Any], config_file: str | None) -> "LogSettings":
    from gnomon.configuration import resolve
    from gnomon.logs.settings import LogSettings

    own = {name.removeprefix("log_"): flags.get(name) for name in _NAMES}
    return resolve(LogSettings, "log", file=config_file, flags=own)[0]

"""Times as commands show them: in UTC or in the machine's zone, by flag or setting."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

ZONES = ("utc", "local")
_CHOSEN = "gnomon.times"


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandSettings:
    """What commands show to people.

    Raises:
        ValueError: a setting is not one of its choices; the message names it.
    """

    #: utc or local: the zone of the times that commands show. JSON is the same in both.
    times: str = "utc"

    def __post_init__(self) -> None:
        """Refuse what is not one of the choices."""
        if self.times not in ZONES:
            raise ValueError(f"times {self.times!r} should be one of {', '.join(ZONES)}")


def zone_option() -> click.Option:
    """Return the flag of the root command."""
    return click.Option(
        ["--local/--utc", "is_local"],
        default=None,
        help="Show times in this machine's zone or in UTC (setting command.times; default utc).",
    )


def show_time(milliseconds: int) -> str | None:
    """Return a Unix time in ms to the second; None if no datetime has its year.

    Raises:
        ConfigurationError: the setting is wrong.
    """
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
        if _is_local():
            moment = moment.astimezone()
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _is_local() -> bool:
    """Return whether times are local; the settings are read once for a command."""
    context = click.get_current_context(silent=True)
    if context is None:
        return False
    root = context.find_root()
    if _CHOSEN not in root.meta:
        chosen: Any = root.params.get("is_local")
        root.meta[_CHOSEN] = _setting(root.obj) == "local" if chosen is None else chosen
    return bool(root.meta[_CHOSEN])


def _setting(config_file: Any) -> str:
    from gnomon.configuration import resolve

    return resolve(CommandSettings, "command", file=config_file)[0].times

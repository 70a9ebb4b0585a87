"""The settings of the log, the same for all commands and processes."""

import logging
from dataclasses import dataclass

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
FORMATS = ("text", "json")


@dataclass(frozen=True, kw_only=True, slots=True)
class LogSettings:
    """What is logged, and how.

    Raises:
        ValueError: a setting is not one of its choices; the message names it.
    """

    #: debug, info, warning or error; auto: info for processes that run until they are
    #: stopped, warning for all other commands.
    level: str = "auto"
    #: text: a line for people; json: an object for programs.
    format: str = "text"

    def __post_init__(self) -> None:
        """Refuse what is not one of the choices."""
        for name, value, choices in (
            ("level", self.level, ("auto", *LEVELS)),
            ("format", self.format, FORMATS),
        ):
            if value not in choices:
                raise ValueError(f"{name} {value!r} should be one of {', '.join(choices)}")

    def threshold(self, automatic: int) -> int:
        """Return the lowest level that is logged, with `automatic` for `auto`."""
        return LEVELS.get(self.level, automatic)

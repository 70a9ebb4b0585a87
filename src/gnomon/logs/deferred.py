"""The log of commands that usually log nothing: it is set up at the first record."""

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gnomon.logs.settings import LogSettings

#: The attribute by which this package knows its own handlers.
_MARK = "is_of_gnomon"


class DeferredLogHandler(logging.Handler):
    """Sets up the log at the first record, and imports what that needs only then."""

    def __init__(self, settings: "LogSettings | None", automatic: int) -> None:
        super().__init__()
        self._settings = settings
        self._automatic = automatic

    def emit(self, record: logging.LogRecord) -> None:
        """Set up the log, and log the record."""
        from gnomon.logs.setup import set_up_logging

        set_up_logging(self._settings, self._automatic)
        logging.getLogger(record.name).handle(record)


def defer_logging(settings: "LogSettings | None" = None, automatic: int = logging.WARNING) -> None:
    """Have the log set up when the first record is logged.

    Args:
        settings: level and format; the defaults if None.
        automatic: the level that `auto` stands for.
    """
    level = automatic if settings is None else settings.threshold(automatic)
    install_handler(DeferredLogHandler(settings, automatic), level)


def install_handler(handler: logging.Handler, level: int) -> None:
    """Make a handler the root logger's, in place of an earlier one of this package."""
    root = logging.getLogger()
    for former in list(root.handlers):
        if hasattr(former, _MARK):
            root.removeHandler(former)
    setattr(handler, _MARK, True)
    root.addHandler(handler)
    root.setLevel(level)

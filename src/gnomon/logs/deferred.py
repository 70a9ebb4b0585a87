"""The log of commands that usually log nothing: it is set up at the first record."""

import logging
from collections.abc import Callable

#: The attribute by which this package knows its own handlers.
_MARK = "is_of_gnomon"


class DeferredLogHandler(logging.Handler):
    """Calls `set_up` at the first record, which replaces this handler; then logs the record."""

    def __init__(self, set_up: Callable[[], None]) -> None:
        super().__init__()
        self._set_up = set_up

    def emit(self, record: logging.LogRecord) -> None:
        """Set up the log, and log the record."""
        self._set_up()
        logging.getLogger(record.name).handle(record)


def install_handler(handler: logging.Handler, level: int) -> None:
    """Make a handler the root logger's, in place of an earlier one of this package."""
    root = logging.getLogger()
    for former in list(root.handlers):
        if hasattr(former, _MARK):
            root.removeHandler(former)
    setattr(handler, _MARK, True)
    root.addHandler(handler)
    root.setLevel(level)

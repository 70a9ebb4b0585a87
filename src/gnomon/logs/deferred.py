"""The log of commands that usually log nothing: it is set up at the first record."""

import logging
from collections.abc import Callable

#: The attribute by which this package knows its own handlers.
_MARK = "is_of_gnomon"


class DeferredLogHandler(logging.Handler):
    """Calls `set_up` at the first record, which replaces this handler; then logs the record.

    Other handlers of the process see the record once, as without this one.
    """

    def __init__(self, set_up: Callable[[], None]) -> None:
        super().__init__()
        self._set_up = set_up

    def emit(self, record: logging.LogRecord) -> None:
        """Set up the log, and hand the record to the handler that has come."""
        self._set_up()
        for handler in list(logging.getLogger().handlers):
            if hasattr(handler, _MARK) and record.levelno >= handler.level:
                handler.handle(record)


def install_handler(handler: logging.Handler, level: int) -> None:
    """Make a handler the root logger's, in place of an earlier one of this package."""
    root = logging.getLogger()
    setattr(handler, _MARK, True)
    for place, former in enumerate(root.handlers):
        if hasattr(former, _MARK):
            # In its place: a record that is on its way through the list reaches every other once.
            root.handlers[place] = handler
            break
    else:
        root.addHandler(handler)
    root.setLevel(level)

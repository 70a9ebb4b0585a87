"""Set up the log of this process. Nothing of it happens on import: programs keep their own log."""

import logging
import os
import sys
import threading
from types import TracebackType
from typing import Any, TextIO

from gnomon.logs.deferred import install_handler
from gnomon.logs.redaction import redact
from gnomon.logs.rendering import render_json, render_text
from gnomon.logs.settings import LogSettings

_RENDERERS = {"text": render_text, "json": render_json}
#: Libraries that log the whole URL of each call: that of a webhook may hold a secret.
_LOG_URLS = ("httpx", "httpcore")
_log = logging.getLogger("gnomon")


class LogHandler(logging.StreamHandler[TextIO]):
    """Writes to whatever standard error is now. A record that cannot be rendered is named."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        """Standard error."""
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        pass

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Log which record it was instead of a traceback in another format."""
        if record.name != "gnomon.logs":
            where = f"{record.pathname}:{record.lineno}"
            logging.getLogger("gnomon.logs").error("a record of %s cannot be rendered", where)


def set_up_logging(settings: LogSettings | None = None, automatic: int = logging.INFO) -> None:
    """Send all events of this process to standard error, one line each.

    Also exceptions that end a thread, warnings, and exceptions in finalizers. The C library of gRPC
    writes lines of its own, in a format of its own: it is set to write none, unless the
    environment sets GRPC_VERBOSITY. For that, call this before gRPC is imported.

    Args:
        settings: level and format; the defaults if None.
        automatic: the level that `auto` stands for.
    """
    import structlog

    settings = settings or LogSettings()
    level = settings.threshold(automatic)
    common: list[Any] = [
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = LogHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                _RENDERERS[settings.format],
            ],
        )
    )
    structlog.configure(
        processors=[*common, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    install_handler(handler, level)
    for name in _LOG_URLS:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    _log_what_python_prints()
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def _log_what_python_prints() -> None:
    """Log what the interpreter would print by itself, in a format of its own."""
    logging.captureWarnings(True)
    threading.excepthook = _log_thread_failure
    sys.unraisablehook = _log_unraisable


def _log_thread_failure(failure: "threading.ExceptHookArgs") -> None:
    name = failure.thread.name if failure.thread else "unknown"
    error = failure.exc_value or failure.exc_type()
    _log.error("thread %s failed", name, exc_info=_exc_info(error))


def _log_unraisable(failure: "sys.UnraisableHookArgs") -> None:
    what = failure.err_msg or "Exception ignored in"
    error = failure.exc_value or failure.exc_type()
    _log.error("%s: %r", what, failure.object, exc_info=_exc_info(error))


def _exc_info(
    error: BaseException,
) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    return type(error), error, error.__traceback__

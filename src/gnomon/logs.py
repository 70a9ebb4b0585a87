"""Logs go to standard error, one line an event, so that standard output stays for answers."""

import logging
import sys
from importlib.util import find_spec

_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def to_standard_error(level: int = logging.INFO) -> None:
    """Send the log of a long-running process to standard error; structured events as JSON."""
    logging.basicConfig(level=level, stream=sys.stderr, format=_FORMAT)
    if find_spec("structlog") is None:
        return
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )

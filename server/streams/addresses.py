"""From the settings' addresses to the ends of a stream; a broker's client is imported on demand."""

import importlib
import os
import sys
import tomllib
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.extras import missing_extra
from gnomon.server.streams.connectors import AnswerSink, BrokerAddress, RecordSource
from gnomon.server.streams.file_progress import FileProgress
from gnomon.server.streams.files import FileSink, FileSource, PipeSink, PipeSource
from gnomon.server.streams.settings import StreamSettings

#: Where standard input and output are meant.
STANDARD = "-"


class _Client(Protocol):
    """The module of a broker's ends."""

    def open_source(
        self, address: BrokerAddress, settings: StreamSettings, options: dict[str, Any]
    ) -> RecordSource:
        """Connect, and return the source."""

    def open_sink(
        self, address: BrokerAddress, settings: StreamSettings, options: dict[str, Any]
    ) -> AnswerSink:
        """Connect, and return the sink."""


def open_source(settings: StreamSettings) -> RecordSource:
    """Open the source.

    Raises:
        ConfigurationError: the address is none, its client is not installed, or nobody answers.
        StorageError: the file cannot be read.
    """
    address = broker_of(settings.source)
    if address is not None:
        return _client(address.scheme).open_source(address, settings, _options(settings, "source"))
    if settings.source == STANDARD:
        return PipeSource(sys.stdin.fileno(), settings.record_bytes)
    path = Path(settings.source)
    if path.is_fifo():
        # Opened for writing too, so that it does not end with each of those who write into it.
        return PipeSource(os.open(path, os.O_RDWR), settings.record_bytes, path.name)
    progress = settings.progress_file or path.with_name(f"{path.name}.progress")
    return FileSource(path, FileProgress(progress), settings.record_bytes, settings.follow)


def open_sink(address: str, settings: StreamSettings) -> AnswerSink:
    """Open a sink; raises as `open_source`."""
    broker = broker_of(address)
    if broker is not None:
        return _client(broker.scheme).open_sink(broker, settings, _options(settings, "sink"))
    if address == STANDARD:
        return PipeSink(sys.stdout.fileno())
    return FileSink(Path(address))


def broker_of(address: str) -> BrokerAddress | None:
    """Return the broker that an address names, or None where it is a file's.

    Raises:
        ConfigurationError: it names one, but not wholly, or holds a password.
    """
    if "://" not in address:
        return None
    parts = urlsplit(address)
    subject = parts.path.lstrip("/")
    if parts.scheme not in _CLIENTS or not parts.netloc or not subject or parts.query:
        raise ConfigurationError(
            f"{address.rpartition('@')[2]!r} is no address of a stream; it should be a file, '-', "
            "nats://host:port/subject or kafka://host:port/topic"
        )
    if "@" in parts.netloc:
        raise ConfigurationError(
            "a stream's address holds no user or password: put them into client_options_file"
        )
    return BrokerAddress(parts.scheme, parts.netloc, subject)


#: Where the ends of a broker are, by the address's scheme.
_CLIENTS = {
    "nats": "gnomon.server.streams.nats",
    "kafka": "gnomon.server.streams.kafka",
}


def _client(scheme: str) -> _Client:
    try:
        return cast(_Client, importlib.import_module(_CLIENTS[scheme]))
    except ImportError as error:
        raise ConfigurationError(
            missing_extra(f"{scheme}://", f"a client ({error})", scheme)
        ) from error


def _options(settings: StreamSettings, end: str) -> dict[str, Any]:
    """Return the options of the broker's client: for both ends, and those in a table of its own.

    Raises:
        ConfigurationError: their file cannot be read.
    """
    path = settings.client_options_file
    if path is None:
        return {}
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"client_options_file {path} cannot be read: {error}") from error
    own = {"source": {}, "sink": {}} | {
        name: found.pop(name) for name in ("source", "sink") if isinstance(found.get(name), dict)
    }
    options: dict[str, Any] = found | own[end]
    return options

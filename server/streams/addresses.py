"""Opens the sources and sinks of addresses; a broker's client is imported on demand."""

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

#: The address of standard input or output.
STANDARD = "-"


class _Client(Protocol):
    """The module with the source and the sink of a broker."""

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
        ConfigurationError: the address is invalid, its client is missing, or no broker answers.
        StorageError: the file cannot be read.
    """
    address = broker_of(settings.source)
    if address is not None:
        return _client(address.scheme).open_source(address, settings, _options(settings, "source"))
    if settings.source == STANDARD:
        return PipeSource(sys.stdin.fileno(), settings.record_bytes)
    path = Path(settings.source)
    if path.is_fifo():
        # Opened for writing too, so that it does not end when a writer closes it.
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
    """Return the broker that an address names, or None for a file.

    Raises:
        ConfigurationError: the broker's address is incomplete, or holds a password.
    """
    if "://" not in address:
        return None
    parts = urlsplit(address)
    subject = parts.path.lstrip("/")
    if parts.scheme not in _CLIENTS or not parts.netloc or not subject or parts.query:
        raise ConfigurationError(
            f"{address.rpartition('@')[2]!r} is not a stream address; it should be a file, '-', "
            "nats://host:port/subject or kafka://host:port/topic"
        )
    if "@" in parts.netloc:
        raise ConfigurationError(
            "a stream's address holds no user or password: put them into client_options_file"
        )
    return BrokerAddress(parts.scheme, parts.netloc, subject)


#: Modules of the brokers, by the address's scheme.
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
    """Return the options of the broker's client: common ones, and those of `source` or `sink`.

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

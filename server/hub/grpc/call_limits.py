"""Bounds on calls under way, so that one caller cannot hold the threads that others need.

A thread of a port waits for a call's messages. A caller may have some calls under way, and each
message has a deadline: a call that sends headers and nothing else, or that does not read what it
asked for, is cancelled.
"""

import ipaddress
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import unquote

import grpc
import structlog

from gnomon.runtime.errors import InvalidInput, Overloaded

_log = structlog.get_logger(__name__)

_CHECK_SECONDS = 0.25
#: A network of IPv6 has one limit, since whoever has it has all of its addresses.
_PREFIX = 64


class CallLimits:
    """The limits of one port, and the thread that cancels late calls. Threads may share it."""

    def __init__(self, calls: int, message_seconds: float) -> None:
        """Set the limits.

        Args:
            calls: most calls that one caller has under way.
            message_seconds: how long a call may wait for its client at once.
        """
        self._calls = calls
        self._message_seconds = message_seconds
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._late_at: dict[object, tuple[float, grpc.ServicerContext]] = {}
        self._stopped = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="hub-deadlines", daemon=True)

    def start(self) -> None:
        """Begin to cancel late calls."""
        self._watcher.start()

    def stop(self) -> None:
        """Cancel no more."""
        self._stopped.set()

    @contextmanager
    def hold(self, caller: str) -> Iterator[None]:
        """Count a call of a caller while it is under way.

        Raises:
            Overloaded: the caller has as many as it may.
        """
        with self._lock:
            if self._held[caller] >= self._calls:
                raise Overloaded(f"{self._calls} calls of {caller} are under way; call again later")
            self._held[caller] += 1
        try:
            yield
        finally:
            with self._lock:
                self._held[caller] -= 1
                if not self._held[caller]:
                    del self._held[caller]

    @contextmanager
    def waiting(self, context: grpc.ServicerContext) -> Iterator[None]:
        """Cancel the call if the block, which waits for the client, does not end in time."""
        mark = object()
        with self._lock:
            self._late_at[mark] = (time.monotonic() + self._message_seconds, context)
        try:
            yield
        finally:
            with self._lock:
                self._late_at.pop(mark, None)

    def read_one(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        """Return the only message of a call.

        Raises:
            InvalidInput: the client sent none.
        """
        with self.waiting(context):
            for message in messages:
                return message
        raise InvalidInput("the call has no message")

    def read(
        self,
        messages: Iterator[bytes],
        context: grpc.ServicerContext,
        decode: Callable[[bytes], Any],
    ) -> Iterator[Any]:
        """Yield the messages of a call, decoded; each in time."""
        while True:
            with self.waiting(context):
                message = next(messages, None)
            if message is None:
                return
            yield decode(message)

    def write(self, answers: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        """Yield the answers of a call; each must be taken in time."""
        for answer in answers:
            with self.waiting(context):
                yield answer

    def _watch(self) -> None:
        while not self._stopped.wait(_CHECK_SECONDS):
            now = time.monotonic()
            with self._lock:
                late = [one for one in self._late_at.items() if one[1][0] <= now]
                for mark, _ in late:
                    del self._late_at[mark]
            for _, (_, context) in late:
                _log.warning("call_cancelled", peer=context.peer(), reason="the client is late")
                with suppress(Exception):  # it may have ended meanwhile
                    context.cancel()


def address_of(context: grpc.ServicerContext) -> str:
    """Return the address from which a call comes, as its limit is counted."""
    kind, _, rest = str(context.peer()).partition(":")
    host = unquote(rest).rpartition(":")[0].strip("[]").partition("%")[0]
    if kind != "ipv6":
        return host or kind
    with suppress(ValueError):
        address = ipaddress.IPv6Address(host)
        mapped = address.ipv4_mapped
        return str(mapped or ipaddress.IPv6Network((address, _PREFIX), strict=False))
    return host

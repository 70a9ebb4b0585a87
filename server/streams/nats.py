"""NATS JetStream as source and sink: a durable pull consumer, and acknowledged publishing.

The JetStream stream of the subject must exist already: its operator decides how much it stores, and
where. Answers have their record's id as `Nats-Msg-Id`, so that the broker drops duplicates within
its window.
"""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import nats
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig
from nats.js.errors import APIError, NotFoundError

from gnomon.runtime.errors import ConfigurationError
from gnomon.server.streams.connectors import BrokerAddress, Record, Unavailable
from gnomon.server.streams.settings import StreamSettings

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 10.0
_ACK_SECONDS = 30.0
#: Longest wait for messages after the first one.
_LINGER_SECONDS = 0.02
#: Errors of an unavailable broker; the operation may be retried.
_AWAY = (NatsError, OSError, TimeoutError)

Result = TypeVar("Result")


class _Connection:
    """A connection on its own thread, since the consumer is not a coroutine."""

    def __init__(self, address: BrokerAddress, options: dict[str, Any]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="nats")
        self._thread.start()
        servers = [f"nats://{host}" for host in address.hosts.split(",")]
        try:
            self.client = self.run(self._connect(servers, options))
        except (*_AWAY, TypeError) as error:
            self._end_loop()
            raise ConfigurationError(f"no NATS answers at {address.hosts}: {error}") from error
        self.stream = self.client.jetstream(timeout=_ANSWER_SECONDS)

    async def _connect(self, servers: list[str], options: dict[str, Any]) -> Any:
        async def ignore_error(_error: Exception) -> None:
            """Ignore it: the failed operation raises its own error."""

        given = {"connect_timeout": _CONNECT_SECONDS, "max_reconnect_attempts": -1, **options}
        connecting = nats.connect(servers, error_cb=ignore_error, **given)
        return await asyncio.wait_for(connecting, _CONNECT_SECONDS)

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Return a coroutine's result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def close(self) -> None:
        """Disconnect."""
        with contextlib.suppress(*_AWAY):
            self.run(asyncio.wait_for(self.client.close(), _ANSWER_SECONDS))
        self._end_loop()

    def _end_loop(self) -> None:
        self.run(_cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_ANSWER_SECONDS)
        self._loop.close()


async def _cancel_all() -> None:
    """Cancel the client's tasks that still run on this loop."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_ANSWER_SECONDS)


class NatsSource:
    """Messages of a subject, shared among all consumers of the group."""

    def __init__(self, address: BrokerAddress, group: str, options: dict[str, Any]) -> None:
        """Connect.

        Raises:
            ConfigurationError: no server answers, or no stream holds the subject.
        """
        self.name = address.subject
        self.ended = False
        given = dict(options)
        # Seconds until another consumer gets what a dead one has not committed.
        settings = ConsumerConfig(ack_wait=float(given.pop("ack_wait_seconds", _ACK_SECONDS)))
        self._connection = _Connection(address, given)
        self._taken: list[Msg] = []
        try:
            subscribing = self._connection.stream.pull_subscribe(
                address.subject, durable=group, config=settings
            )
            self._subscription = self._connection.run(subscribing)
        except (*_AWAY, APIError) as error:
            self._connection.close()
            why = "no stream holds it" if isinstance(error, NotFoundError) else error
            raise ConfigurationError(
                f"subject {address.subject!r} at {address.hosts} cannot be consumed: {why}"
            ) from error

    def read(self, limit: int, seconds: float) -> list[Record]:
        """Return messages; those not committed are delivered again, to any of the group."""
        # Waiting for a whole batch would delay its first record.
        messages = self._fetch(1, max(seconds, _LINGER_SECONDS))
        if messages and limit > 1:
            # The first message must be answered even if this fails: the next commit covers it.
            with contextlib.suppress(Unavailable):
                messages += self._fetch(limit - 1, _LINGER_SECONDS)
        return [Record(one.data, str(one.metadata.sequence.stream)) for one in messages]

    def _fetch(self, limit: int, seconds: float) -> list[Msg]:
        try:
            fetching = self._subscription.fetch(limit, timeout=seconds)
            messages: list[Msg] = self._connection.run(fetching)
        except TimeoutError:
            return []
        except _AWAY as error:
            raise Unavailable(f"NATS does not answer: {error}") from error
        self._taken += messages
        return messages

    def commit(self) -> None:
        """Acknowledge what was read."""
        taken, self._taken = self._taken, []
        try:
            self._connection.run(self._acknowledge(taken))
        except _AWAY as error:
            raise Unavailable(f"NATS does not answer: {error}") from error

    async def _acknowledge(self, messages: Sequence[Msg]) -> None:
        for message in messages:
            await message.ack()
        await self._connection.client.flush()

    def close(self) -> None:
        """Return uncommitted messages to the broker, and disconnect."""
        with contextlib.suppress(*_AWAY):
            self._connection.run(self._give_back())
        self._connection.close()

    async def _give_back(self) -> None:
        for message in self._taken:
            await message.nak()
        await asyncio.wait_for(self._subscription.unsubscribe(), _ANSWER_SECONDS)


class NatsSink:
    """Publishes to a subject that a stream holds, and waits until the broker has kept it."""

    def __init__(self, address: BrokerAddress, options: dict[str, Any]) -> None:
        """Connect.

        Raises:
            ConfigurationError: no server answers, or no stream holds the subject.
        """
        self._subject = address.subject
        self._connection = _Connection(address, options)
        try:
            finding = self._connection.stream.find_stream_name_by_subject(address.subject)
            self._connection.run(finding)
        except (*_AWAY, APIError) as error:
            self._connection.close()
            raise ConfigurationError(
                f"no stream at {address.hosts} holds the subject {address.subject!r}: {error}"
            ) from error

    def write(self, answers: Sequence[tuple[str, bytes]]) -> None:
        """Publish."""
        try:
            self._connection.run(self._publish(answers))
        except (*_AWAY, APIError) as error:
            raise Unavailable(f"NATS does not take the answers: {error}") from error

    async def _publish(self, answers: Sequence[tuple[str, bytes]]) -> None:
        stream = self._connection.stream
        await asyncio.gather(
            *(
                stream.publish(self._subject, data, headers={"Nats-Msg-Id": _header(identity)})
                for identity, data in answers
            )
        )

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()


def _header(text: str) -> str:
    """Return the text as a header's value."""
    return text.encode("ascii", "backslashreplace").decode().translate({10: "_", 13: "_"})


def open_source(
    address: BrokerAddress, settings: StreamSettings, options: dict[str, Any]
) -> NatsSource:
    """Connect, and return the source."""
    return NatsSource(address, settings.group, options)


def open_sink(
    address: BrokerAddress, _settings: StreamSettings, options: dict[str, Any]
) -> NatsSink:
    """Connect, and return the sink."""
    return NatsSink(address, options)

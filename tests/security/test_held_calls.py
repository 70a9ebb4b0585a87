"""Calls that send headers and nothing more stop nobody else, and end."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from gnomon.runtime.errors import InvalidInput, Overloaded
from gnomon.server.hub.grpc import call_limits, ports
from gnomon.server.hub.grpc.call_limits import CallLimits, address_of
from tests.support.waiting import wait_for

ENROL = "/gnomon.v1.Enrolment/Enroll"
EXCHANGE = "/gnomon.v1.Sync/Exchange"
UPLOAD = "/gnomon.v1.Sync/Upload"

Hold = Callable[[grpc.Channel, str, int], list[Any]]


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Begin calls that send no message until the test has ended."""
    ended = threading.Event()
    begun: list[Any] = []

    def silent() -> Iterator[bytes]:
        ended.wait()
        yield from ()

    def hold(channel: grpc.Channel, method: str, number: int) -> list[Any]:
        call = channel.stream_unary(method)
        calls = [call.future(silent(), timeout=60) for _ in range(number)]
        begun.extend(calls)
        time.sleep(0.3)  # until all have reached the hub
        return calls

    yield hold
    for one in begun:
        one.cancel()
    ended.set()


def are_refused(calls: list[Any], number: int) -> bool:
    """Wait until so many calls have ended; return whether these and no more were refused."""
    wait_for(lambda: len(codes(calls)) >= number)
    return codes(calls) == [grpc.StatusCode.RESOURCE_EXHAUSTED] * number


def codes(calls: list[Any]) -> list[grpc.StatusCode]:
    return [one.code() for one in calls if one.done()]


def test_silent_unknown_callers_stop_no_enrolment(caller: Any, fresh_key: Any, hold: Hold) -> None:
    token = caller.token("node", "device-1")
    stranger = caller.stranger(token)
    calls = hold(stranger.channel, ENROL, ports.OPEN_CALLS - 1)
    assert stranger.enrol(token["token"], fresh_key(), "device-1").certificate
    assert codes(calls) == []
    more = hold(stranger.channel, ENROL, 20)
    assert are_refused(more, 19)


def test_one_silent_node_stops_no_other(caller: Any, node: Any, hold: Hold) -> None:
    calls = hold(node.channel, EXCHANGE, 60)
    assert are_refused(calls, 60 - ports.KNOWN_CALLS)
    with pytest.raises(Overloaded, match="under way"):
        node.exchange()
    other = caller.enrol("node", "device-2")
    assert other.exchange().hub_time_unix_ms
    assert other.upload() == 0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that waits half a second for a message; requested before the hub."""
    monkeypatch.setattr(ports, "OPEN_MESSAGE_SECONDS", 0.5)
    monkeypatch.setattr(ports, "KNOWN_MESSAGE_SECONDS", 0.5)
    monkeypatch.setattr(call_limits, "_CHECK_SECONDS", 0.05)


@pytest.mark.usefixtures("impatient")
def test_a_message_has_a_deadline(
    impatient: None, caller: Any, node: Any, fresh_key: Any, hold: Hold
) -> None:
    token = caller.token("node", "device-2")
    stranger = caller.stranger(token)
    calls = hold(stranger.channel, ENROL, ports.OPEN_CALLS)
    calls += hold(node.channel, UPLOAD, ports.KNOWN_CALLS)
    wait_for(lambda: all(one.done() for one in calls))
    assert set(codes(calls)) == {grpc.StatusCode.CANCELLED}
    assert node.exchange().hub_time_unix_ms
    assert stranger.enrol(token["token"], fresh_key(), "device-2").certificate


def test_a_call_without_a_message_is_invalid(node: Any) -> None:
    call = node.channel.stream_unary(EXCHANGE)
    with pytest.raises(grpc.RpcError) as raised:
        call(iter(()), timeout=20)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_what_is_held_is_let_go_of() -> None:
    limits = CallLimits(2, 60.0)
    for _ in range(10):
        with limits.hold("a"), limits.hold("a"):
            with pytest.raises(Overloaded):
                limits.hold("a").__enter__()
            with limits.hold("b"):
                pass
        with pytest.raises(InvalidInput), limits.hold("a"):
            limits.read_one(iter(()), Context(""))  # type: ignore[arg-type]
    assert not limits._held and not limits._late_at


class Context:
    def __init__(self, peer: str) -> None:
        self._peer = peer

    def peer(self) -> str:
        return self._peer


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:192.0.2.1:5000", "192.0.2.1"),
        ("ipv6:%5B2001:db8::1%5D:5000", "2001:db8::/64"),
        ("ipv6:%5B2001:db8::ffff:1%5D:1", "2001:db8::/64"),
        ("ipv6:[::ffff:192.0.2.1]:5000", "192.0.2.1"),
        ("ipv6:%5Bfe80::1%25eth0%5D:9", "fe80::/64"),
        ("unix:", "unix"),
    ],
)
def test_a_limit_is_of_an_address_or_a_network(peer: str, address: str) -> None:
    assert address_of(Context(peer)) == address  # type: ignore[arg-type]


def test_requests_are_decoded_after_the_check(caller: Any) -> None:
    """A malformed request of somebody who may not call gets no other answer."""
    token = caller.token("node")
    stranger = caller.stranger(token)
    answers = {}
    for method in (ENROL, EXCHANGE):
        with pytest.raises(grpc.RpcError) as raised:
            stranger.channel.unary_unary(method)(b"\xff" * 10, timeout=20)
        answers[method] = raised.value.code()
    assert answers[ENROL] is grpc.StatusCode.INVALID_ARGUMENT
    assert answers[EXCHANGE] is not grpc.StatusCode.INVALID_ARGUMENT

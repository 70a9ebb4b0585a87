"""Connections that make no call are counted once, and fill no log."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.server.rest import certificates
from gnomon.server.rest.certificates import HandshakeLog
from gnomon.server.rest.handshake_watch import GRACE_SECONDS, HandshakeWatch


class Counting(HandshakeLog):
    """Counts what is added."""

    def __init__(self) -> None:
        super().__init__("test")
        self.added = 0

    def add(self, count: int, reason: str) -> None:
        self.added += count

    def report(self) -> None:
        pass


@given(st.lists(st.booleans(), max_size=60))
def test_each_connection_without_a_call_counts_once_and_no_other(calls: list[bool]) -> None:
    now, log = [100.0], Counting()
    watch = HandshakeWatch(log, lambda: now[0])
    for number, has_call in enumerate(calls):
        watch.begin()
        if has_call:
            for _ in range(3):
                watch.note_call(f"ipv4:127.0.0.1:{number}")
    assert log.added == 0
    for _ in range(3):
        now[0] += GRACE_SECONDS
        watch.begin()
        watch.note_call(f"a later caller at {now[0]}")
        assert log.added == calls.count(False)


def test_a_flood_of_failed_handshakes_is_one_line_in_its_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(certificates, "LOG_SECONDS", 600.0)
    log = HandshakeLog("test")
    with caplog.at_level(logging.WARNING):
        for count in (2, 3, 4):
            log.add(count, "no certificate")
            log.report()
        said = [one.getMessage() for one in caplog.records]
        assert said == [
            "2 TLS handshakes with clients of the frontend test failed; the last: no certificate"
        ]
        log._next = 0.0
        log.report()
    assert caplog.records[-1].getMessage().startswith("7 TLS handshakes")

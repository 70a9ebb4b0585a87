"""A hub that has lost records is shown what it assigned before they are sent again."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from gnomon.edge.hub_reporter import HubReporter
from gnomon.proto import hub_pb2


class Hub:
    """Stands for the channel; `meanwhile` happens while a call is under way."""

    def __init__(self) -> None:
        self.requests: list[hub_pb2.ExchangeRequest] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def exchange(self, request: hub_pb2.ExchangeRequest) -> hub_pb2.ExchangeResponse:
        self.requests.append(request)
        self.meanwhile()
        return hub_pb2.ExchangeResponse()


@pytest.fixture
def reporter(monkeypatch: pytest.MonkeyPatch) -> HubReporter:
    monkeypatch.setattr(HubReporter, "_make_report", lambda _: hub_pb2.ExchangeRequest())
    spool: Any = SimpleNamespace(watermarks=lambda: {"b": 1})
    trust: Any = SimpleNamespace(known_states=[hub_pb2.SignedState(state=b"s")])
    enrolment: Any = SimpleNamespace(record_success=lambda: None)
    nothing: Any = None
    return HubReporter({}, spool, nothing, nothing, trust, enrolment, nothing)


@pytest.mark.parametrize("is_under_way", [False, True])
def test_the_next_call_shows_it_whatever_is_under_way(
    reporter: HubReporter, is_under_way: bool
) -> None:
    hub: Any = Hub()
    if is_under_way:
        hub.meanwhile = reporter.note_lost
        reporter.exchange(hub)  # the first call of all shows what it can
    else:
        reporter.exchange(hub)
        reporter.note_lost()
    hub.meanwhile = lambda: None
    assert not reporter.may_upload
    reporter.exchange(hub)
    assert reporter.may_upload
    assert [len(one.known_states) for one in hub.requests] == [1, 1]
    reporter.exchange(hub)
    assert not hub.requests[-1].known_states

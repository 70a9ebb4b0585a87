"""Nobody sends more than their quota, and the first refusal is seen."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import Overloaded
from gnomon.runtime.packages.package import Package
from gnomon.server.hub.ingest.quotas import QUOTA_REACHED, Quota, Quotas
from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.process import Hub
from gnomon.server.hub.settings import HubSettings
from gnomon.server.hub.store.database import Database

LIMITS = {
    "quota_calls_per_minute": 40,
    "quota_rest_calls_per_minute": 40,
    "quota_telemetry_bytes_per_day": 10_000,
    "quota_samples_per_day": 3,
    "quota_blob_bytes_per_day": 100,
}


@pytest.fixture
def settings(settings: HubSettings) -> HubSettings:
    return replace(settings, **LIMITS)


def event(sequence: int, detail: str = "") -> hub_pb2.Record:
    return hub_pb2.Record(
        sequence=sequence, recorded_at_unix_ms=1, event=hub_pb2.Event(kind="k", detail=detail)
    )


def reached(hub: Hub) -> list[tuple[str, str]]:
    with hub.services.database.read() as connection:
        found = alerts.find(connection)
    return [(one.source, one.field) for one in found if one.kind == "quota_reached"]


def assert_refused(call: Callable[[], object], caller: str, quota: str) -> None:
    with pytest.raises(Overloaded, match=f"{caller} has reached {quota}") as caught:
        call()
    (detail,) = caught.value.details
    assert (detail["quota"], detail["limit"]) == (quota, LIMITS[quota])
    assert detail["retry_after_seconds"] > 0


@pytest.mark.parametrize(
    ("details", "quota"),
    [
        (["x" * 4_000] * 3, "quota_telemetry_bytes_per_day"),
        ([""] * 3, "quota_samples_per_day"),
    ],
)
def test_a_node_that_floods_is_refused_and_named_once_and_others_go_on(
    hub: Hub, caller: Any, node: Any, details: list[str], quota: str
) -> None:
    records = [event(number, detail) for number, detail in enumerate(details, 1)]
    assert node.upload(*records) == len(records)  # the one that reaches it is still stored
    for _ in range(3):
        assert_refused(lambda: node.upload(event(len(records) + 1)), "device-1", quota)
    assert reached(hub) == [("device-1", quota)]
    node.exchange()
    assert caller.enrol("node", "device-2").upload(event(1)) == 1


def test_calls_in_a_minute_are_bounded(hub: Hub, caller: Any, node: Any) -> None:
    quota = "quota_calls_per_minute"
    with pytest.raises(Overloaded, match=f"device-1 has reached {quota}"):
        for _ in range(200):
            node.exchange()
    assert reached(hub) == [("device-1", quota)]
    caller.enrol("node", "device-2").exchange()


def test_a_principals_calls_of_rest_are_bounded_and_those_of_the_hubs_own_user_are_not(
    hub: Hub, caller: Any
) -> None:
    quota = "quota_rest_calls_per_minute"
    key = caller.post("principals", name="bea", role="viewer")["key"]
    shown = {"authorization": f"Bearer {key}"}
    for _ in range(200):
        answer = caller.http.get("/api/v1/models", headers=shown)
        if answer.status_code != 200:
            break
    assert answer.status_code == 429
    assert f"bea has reached {quota}" in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) > 0
    assert reached(hub) == [("bea", quota)]
    for _ in range(2 * LIMITS[quota]):
        assert caller.get("models") == []


def test_a_builder_uploads_no_more_than_its_quota_and_keeps_what_was_stored(
    hub: Hub, builder: Any, make: Callable[..., Package]
) -> None:
    quota = "quota_blob_bytes_per_day"
    blobs = [*make().iter_blobs()]
    assert_refused(lambda: builder.put(*blobs), "ada", quota)
    assert reached(hub) == [("ada", quota)]


def test_the_alert_comes_again_only_after_the_caller_was_far_below(
    database: Database,
) -> None:
    clock = [0.0]
    quotas = Quotas(database, {Quota.CALLS.value: 10}, lambda: clock[0])

    def flood() -> int:
        with structlog.testing.capture_logs() as logged:
            for _ in range(30):
                try:
                    quotas.spend("n1", Quota.CALLS)
                except Overloaded:
                    continue
        # Threads of other tests' hubs may log meanwhile.
        return sum(line["event"] == QUOTA_REACHED for line in logged)

    assert flood() == 1
    clock[0] += 12  # two calls more
    assert flood() == 0
    clock[0] += 120
    assert flood() == 1


@given(
    limit=st.integers(1, 50),
    steps=st.lists(st.tuples(st.floats(0, 30), st.integers(0, 20)), max_size=40),
)
def test_no_minute_has_more_calls_than_twice_the_quota(
    limit: int, steps: list[tuple[float, int]]
) -> None:
    """As of any leaky bucket: a full one, and what leaked away meanwhile."""
    now = [0.0]
    quotas = Quotas(Refusing(), {Quota.CALLS.value: limit}, lambda: now[0])  # type: ignore[arg-type]
    allowed: list[float] = []
    for wait, calls in steps:
        now[0] += wait
        for _ in range(calls):
            try:
                quotas.spend("n1", Quota.CALLS)
            except Overloaded:
                continue
            allowed.append(now[0])
    for start in allowed:
        assert sum(start <= at < start + 60 for at in allowed) <= 2 * limit + 1


class Refusing:
    """A database that cannot be reached: a refusal stands without it."""

    def read(self) -> None:
        raise Overloaded("no connection")


def test_zero_is_no_limit_and_each_quota_has_a_setting(database: Database) -> None:
    assert HubSettings().quotas.keys() == set(Quota)
    quotas = Quotas(database, {})
    for quota in Quota:
        quotas.count("n1", quota, 10**15)
        quotas.check("n1", quota)
    with pytest.raises(ValueError, match="quota_windows_per_day should be at least 0"):
        HubSettings(quota_windows_per_day=-1)

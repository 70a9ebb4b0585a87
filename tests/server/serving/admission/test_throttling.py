"""How much may be asked: exact rates on a clock of our own, and frontends that shed early."""

import threading
from typing import Any

import grpc
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.proto import inference_pb2 as oip
from gnomon.proto import inference_pb2_grpc
from gnomon.runtime.errors import Overloaded
from gnomon.runtime.wire import read_error
from gnomon.server.serving.admission.admission import make_admission
from gnomon.server.serving.admission.throttling import Throttle
from gnomon.server.serving.rate_limits import RateLimits
from gnomon.server.serving.rest.frontend import RestFrontend
from gnomon.server.serving.settings import FrontendSettings
from tests.support.serving import GRPC_FRONTENDS

BODY = {"instances": [{"distance": 800.0, "wind": 10.0, "carrier": "UA"}]}
PREDICT = "/v1/models/eta:predict"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def admitted(throttle: Throttle, caller: str = "a", model: str = "m") -> bool:
    try:
        throttle.enter(caller, model)
    except Overloaded:
        return False
    throttle.leave(caller, model)
    return True


def test_a_burst_then_the_rate() -> None:
    clock = Clock()
    throttle = Throttle(RateLimits(requests_per_second=10, burst=5), clock)
    assert [admitted(throttle) for _ in range(7)] == [True] * 5 + [False] * 2
    clock.now += 0.1
    assert [admitted(throttle) for _ in range(2)] == [True, False]
    clock.now += 60
    assert [admitted(throttle) for _ in range(6)] == [True] * 5 + [False]


def test_each_caller_and_model_has_its_own() -> None:
    throttle = Throttle(RateLimits(requests_per_second=1), Clock())
    pairs = [("a", "m"), ("a", "n"), ("b", "m")]
    assert [admitted(throttle, *pair) for pair in pairs * 2] == [True] * 3 + [False] * 3


@settings(max_examples=50, deadline=None)
@given(
    rate=st.sampled_from([0.5, 1.0, 2.0, 8.0, 64.0]),
    burst=st.integers(1, 20),
    gaps=st.lists(st.integers(0, 64), min_size=1, max_size=200),
)
def test_it_is_a_bucket_of_tokens(rate: float, burst: int, gaps: list[int]) -> None:
    """The naive twin: `burst` tokens, `rate` new ones a second, one taken by each request."""
    clock = Clock()
    throttle = Throttle(RateLimits(requests_per_second=rate, burst=burst), clock)
    tokens = float(burst)
    for gap in gaps:
        # Binary fractions, so that neither way rounds.
        clock.now += gap / 64
        tokens = min(burst, tokens + gap / 64 * rate)
        expected = tokens >= 1
        assert admitted(throttle) == expected
        tokens -= expected


def test_who_is_refused_learns_when_to_come_back() -> None:
    clock = Clock()
    throttle = Throttle(RateLimits(requests_per_second=0.5), clock)
    assert admitted(throttle)
    with pytest.raises(Overloaded) as caught:
        throttle.enter("a", "m")
    assert caught.value.details[0] == {
        "limit": "requests_per_second",
        "value": 0.5,
        "retry_after_seconds": 2.0,
    }
    clock.now += 2.0
    assert admitted(throttle)


def test_concurrency_is_counted_in_and_out() -> None:
    throttle = Throttle(RateLimits(concurrent_requests=2, total_requests=3))
    throttle.enter("a", "m")
    throttle.enter("a", "m")
    assert not admitted(throttle)
    throttle.enter("b", "m")
    assert throttle.under_way == 3
    with pytest.raises(Overloaded, match="total_requests is 3"):
        throttle.enter("c", "m")
    throttle.leave("a", "m")
    assert admitted(throttle)
    throttle.leave("a", "m")
    throttle.leave("b", "m")
    assert throttle.under_way == 0


def test_threads_never_exceed_a_limit() -> None:
    throttle = Throttle(RateLimits(requests_per_second=1e-6, burst=100))
    let_in: list[int] = []

    def ask() -> None:
        let_in.append(sum(admitted(throttle) for _ in range(100)))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sum(let_in) == 100


def test_idle_pairs_are_forgotten() -> None:
    clock = Clock()
    throttle = Throttle(RateLimits(requests_per_second=1), clock)
    for number in range(10_000):
        clock.now += 1
        assert admitted(throttle, f"caller-{number}")
    assert throttle.limiter.pairs <= 256


def test_pairs_that_are_not_idle_are_bounded_and_exact() -> None:
    throttle = Throttle(RateLimits(requests_per_second=1), Clock(), pairs=1_000)
    names = [f"caller-{number}" for number in range(3_000)]
    let_in = [name for name in names if admitted(throttle, name)]
    assert 1_000 <= len(let_in) <= 2_048
    assert throttle.limiter.pairs == len(let_in)
    # Each had its one request, however often the table has grown meanwhile.
    assert not any(admitted(throttle, name) for name in let_in)


def test_a_pair_with_calls_under_way_is_never_forgotten() -> None:
    clock = Clock()
    throttle = Throttle(RateLimits(concurrent_requests=1), clock)
    throttle.enter("a", "m")
    for number in range(1_000):
        clock.now += 1
        assert admitted(throttle, f"caller-{number}")
    assert not admitted(throttle, "a")
    throttle.leave("a", "m")
    assert admitted(throttle, "a")


@pytest.mark.parametrize("kind", GRPC_FRONTENDS)
def test_all_frontends_share_one_throttle(served: Any, kind: Any) -> None:
    settings = FrontendSettings(port=0, requests_per_second=0.001, burst=3)
    admission = make_admission(settings, served.handler)
    rest = RestFrontend(served.handler, served.runtime, settings, 0, admission)
    rest.open()

    async def make() -> tuple[Any, str]:
        frontend = kind(served.handler, settings, admission)
        return frontend, await frontend.open()

    frontend, address = served.run(make())
    try:
        with httpx.Client(base_url=rest.url, trust_env=False) as http:
            for _ in range(3):
                assert http.post(PREDICT, json=BODY).status_code == 200
            answer = http.post(PREDICT, json=BODY)
            assert (answer.status_code, answer.json()["code"]) == (429, "overloaded")
            assert int(answer.headers["retry-after"]) > 900
            # What is no model has a bucket of its own, and none of it is a model's.
            assert http.post("/v1/models/x:predict", json=BODY).status_code == 404
        with grpc.insecure_channel(address) as channel:
            stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
            with pytest.raises(grpc.RpcError) as caught:
                stub.ModelInfer(oip.ModelInferRequest(model_name="eta"), timeout=5)
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        told = read_error(error.details(), error.trailing_metadata())
        assert isinstance(told, Overloaded)
        assert told.details[0]["retry_after_seconds"] > 900
    finally:
        served.run(frontend.close(0))
        rest.close(0)
    assert served.counted() == {"answered": 3}


def test_overload_is_shed_at_once_and_those_under_way_are_answered(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = FrontendSettings(port=0, total_requests=2, threads=2)
    admission = make_admission(settings, served.handler)
    frontend = RestFrontend(served.handler, served.runtime, settings, 0, admission)
    frontend.open()
    holding, release = threading.Semaphore(0), threading.Event()
    predict = served.runtime.predict

    def slow(*given: Any, **options: Any) -> Any:
        holding.release()
        assert release.wait(20)
        return predict(*given, **options)

    monkeypatch.setattr(served.runtime, "predict", slow)
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(
            httpx.post(frontend.url + PREDICT, json=BODY, trust_env=False, timeout=20).status_code
        )

    threads = [threading.Thread(target=ask) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
        for _ in threads:
            assert holding.acquire(timeout=20)
        answer = httpx.post(frontend.url + PREDICT, json=BODY, trust_env=False)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert httpx.get(frontend.url + "/v2/health/live", trust_env=False).status_code == 200
        assert admission.throttle.under_way == 2
    finally:
        release.set()
        for thread in threads:
            thread.join(20)
        frontend.close(1)
    assert statuses == [200, 200]
    assert admission.throttle.under_way == 0

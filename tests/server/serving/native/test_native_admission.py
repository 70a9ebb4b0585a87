"""Admission without Python: known callers are admitted, calls above limits are rejected."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import Overloaded
from gnomon.runtime.packages.package import Package
from gnomon.runtime.wire import read_error
from gnomon.server.serving.admission import authentication
from gnomon.server.serving.admission.admission import make_admission
from gnomon.server.serving.admission.authentication import Caller
from gnomon.server.serving.admission.credential_cache import CredentialCache
from gnomon.server.serving.admission.key_file import create_key, read_keys, revoke_key
from gnomon.server.serving.admission.throttling import Throttle
from gnomon.server.serving.native.frontend import NativeFrontend
from gnomon.server.serving.native.loop import missing_library
from gnomon.server.serving.native.native_routes import NativeRoutes
from gnomon.server.serving.settings import FrontendSettings
from tests.support.serving import Served, request

DEADLINE_SECONDS = 20


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def unpadded(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)


class Gated:
    """A table behind the admission of some settings, over the handler of `served`; no network."""

    def __init__(self, served: Any, **changes: Any) -> None:
        self.admission = make_admission(FrontendSettings(**changes), served.handler)
        self.routes = NativeRoutes(served.handler, self.admission)
        self.table = self.routes.new_table()
        self.routes.open()

    def ask(self, shown: str = "") -> tuple[bytes | None, Any]:
        message = request().SerializeToString()
        answer, _, refused = self.table.try_exchange(message, shown.encode())
        return answer, refused

    def clients(self) -> dict[tuple[str, str, str], int]:
        found: dict[tuple[str, str, str], int] = {}
        for one in self.admission.clients.read():
            key = (one.client, one.route, one.outcome)
            found[key] = found.get(key, 0) + one.requests
        return found


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def gated(served: Any) -> Iterator[Callable[..., Gated]]:
    made: list[Gated] = []

    def make(**changes: Any) -> Gated:
        made.append(Gated(served, **changes))
        return made[-1]

    yield make
    for one in made:
        one.routes.close()


def test_who_was_believed_is_known_to_the_table(
    gated: Callable[..., Gated], keys_file: Path
) -> None:
    keys = {name: f"Bearer {create_key(keys_file, name)}" for name in ("app", "batch")}
    other = f"Bearer {create_key(keys_file, 'other', ['delay'])}"
    case = gated(keys_file=keys_file)
    for shown in ("", "Bearer x", *keys.values(), other):
        assert case.ask(shown) == (None, None)
    for shown in (*keys.values(), other):
        case.admission.identify(shown)
    for shown in keys.values():
        assert case.ask(shown)[0]
    # Known, but not for this model; and what is only nearly a key.
    assert case.ask(other)[0] is None
    assert case.ask(keys["app"] + " ")[0] is None
    assert case.ask(keys["app"][:-1])[0] is None
    assert case.clients() == {("app", "eta", "answered"): 1, ("batch", "eta", "answered"): 1}


def test_a_revoked_key_is_unknown_at_once(gated: Callable[..., Gated], keys_file: Path) -> None:
    shown = f"Bearer {create_key(keys_file, 'app')}"
    case = gated(keys_file=keys_file)
    case.admission.identify(shown)
    assert case.ask(shown)[0]
    revoke_key(keys_file, read_keys(keys_file)[0].id)
    # Nobody asks Python meanwhile: the frontend looks at the file by itself.
    until(lambda: case.ask(shown)[0] is None)


def test_where_no_one_looks_at_the_file_no_one_is_known(
    gated: Callable[..., Gated], keys_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "LEASE_SECONDS", -1.0)
    shown = f"Bearer {create_key(keys_file, 'app')}"
    case = gated(keys_file=keys_file)
    case.admission.identify(shown)
    until(lambda: case.ask(shown)[0] is None)


def test_what_is_above_a_limit_is_refused_as_python_would(gated: Callable[..., Gated]) -> None:
    case = gated(requests_per_second=0.01, burst=3)
    answers = [case.ask() for _ in range(6)]
    assert [answer is not None for answer, _ in answers] == [True] * 3 + [False] * 3
    # The first refusal is Python's, which logs it.
    assert [refused is not None for _, refused in answers[3:]] == [False, True, True]
    message, details = answers[-1][1]
    told = read_error(
        message.decode().rstrip("\0"),
        (("gnomon-code", "overloaded"), ("gnomon-details-bin", unpadded(details))),
    )
    assert isinstance(told, Overloaded)
    with pytest.raises(Overloaded) as caught:
        case.admission.throttle.enter("local", "eta")
    expected = caught.value.details[0]
    (found,) = told.details
    assert (found["limit"], found["value"]) == (expected["limit"], expected["value"])
    assert found["retry_after_seconds"] == pytest.approx(expected["retry_after_seconds"], abs=20)
    assert str(told).startswith("model 'eta' takes no more for now: requests_per_second is 0.01;")
    assert case.admission.rejected == {"overloaded": 2}
    assert case.clients() == {
        ("local", "eta", "answered"): 3,
        ("local", "eta", "turned_away"): 2,
    }
    assert case.admission.throttle.under_way == 0


def test_a_refusal_is_whole_base64_and_json_whatever_the_figures(
    gated: Callable[..., Gated],
) -> None:
    for rate in (0.01, 1 / 3, 1e-5, 0.000123456789012):
        case = gated(requests_per_second=rate, burst=1)
        refused = [case.ask()[1] for _ in range(3)][-1]
        (detail,) = json.loads(unpadded(refused[1]))
        assert detail["value"] == rate
        assert detail["retry_after_seconds"] <= 1 / rate + 0.001


def test_what_python_answers_is_charged_once(served: Any, gated: Callable[..., Gated]) -> None:
    case = gated(requests_per_second=0.001, burst=4)
    bad = request(distance=[-1.0]).SerializeToString()
    for _ in range(10):
        assert case.table.try_exchange(bad)[0] is None
    assert case.admission.throttle.under_way == 0
    for _ in range(2):
        case.admission.throttle.enter("local", "eta")
    assert [case.ask()[0] is not None for _ in range(3)] == [True, True, False]


def test_calls_under_way_elsewhere_count(gated: Callable[..., Gated]) -> None:
    for limits, reached in (
        ({"concurrent_requests": 2}, "concurrent_requests"),
        ({"total_requests": 2}, "total_requests"),
    ):
        case = gated(**limits)
        throttle: Throttle = case.admission.throttle
        for _ in range(2):
            assert case.ask()[0]
            throttle.enter("local", "eta")
        assert case.ask() == (None, None)
        assert reached in case.ask()[1][0].decode()
        throttle.leave("local", "eta")
        assert case.ask()[0]


class Token:
    """What `CredentialCache` keeps of somebody."""

    def __init__(self, number: int) -> None:
        self.shown = b"Bearer %d" % number, b""
        self.caller = Caller(f"caller-{number}")


@settings(max_examples=50, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["learn", "find", "forget"]), st.integers(0, 9)), max_size=60
    )
)
def test_passes_are_a_dictionary_that_may_forget(steps: list[tuple[str, int]]) -> None:
    credentials, twin = CredentialCache(), dict[int, Caller]()
    for step, number in steps:
        token = Token(number)
        if step == "learn":
            credentials.learn(*token.shown, token.caller, 0, 100.0, credentials.generation)
            twin[number] = token.caller
        elif step == "forget":
            credentials.forget()
            twin.clear()
        else:
            assert credentials.find(*token.shown, 99.0, 0.0) == twin.get(number)
            assert credentials.find(*token.shown, 100.0, 0.0) is None


def test_passes_are_bounded_and_the_newest_is_kept() -> None:
    credentials = CredentialCache()
    for number in range(20_000):
        token = Token(number)
        credentials.learn(*token.shown, token.caller, 0, 100.0, credentials.generation)
        assert credentials.find(*token.shown, 0.0, 0.0) is token.caller
    known = sum(
        credentials.find(*Token(number).shown, 0.0, 0.0) is not None for number in range(20_000)
    )
    assert 3_000 < known <= 4_096


def test_what_was_learnt_before_everybody_was_forgotten_is_not_kept() -> None:
    credentials, token = CredentialCache(), Token(1)
    generation = credentials.generation
    credentials.forget()
    credentials.learn(*token.shown, token.caller, 0, 100.0, generation)
    assert credentials.find(*token.shown, 0.0, 0.0) is None


class Frontend(Served):
    """As `Served`, behind a native frontend."""

    async def _make(self, settings: Any) -> Any:
        self.admission = make_admission(settings, self.handler)
        return NativeFrontend(self.handler, settings, self.admission)


@pytest.mark.skipif(missing_library() is not None, reason="libnghttp2 is not installed")
def test_a_known_key_needs_no_python_and_others_no_entry(package: Package, keys_file: Path) -> None:
    key = create_key(keys_file, "app", ["eta"])
    served = Frontend(package, keys_file=keys_file, host="0.0.0.0")
    try:
        address = served.address.replace("0.0.0.0", "127.0.0.1")
        metadata = (("authorization", f"Bearer {key}"),)
        with grpc.insecure_channel(address) as channel:
            infer = channel.unary_unary(
                "/inference.GRPCInferenceService/ModelInfer",
                oip.ModelInferRequest.SerializeToString,
                oip.ModelInferResponse.FromString,
            )
            for shown in ((), (("authorization", "Bearer x"),)):
                with pytest.raises(grpc.RpcError) as caught:
                    infer(request(), timeout=10, metadata=shown)
                error: Any = caught.value
                assert error.code() is grpc.StatusCode.UNAUTHENTICATED
            for _ in range(10):
                infer(request(), timeout=10, metadata=metadata)
        counts = served.frontend.counts
        assert counts["taken"] == 9
        assert counts["no credential"] == 3
        assert served.admission.rejected == {"unauthenticated": 2}
        outcomes = {(one.client, one.outcome): one.requests for one in _read(served.admission)}
        assert outcomes == {("app", "answered"): 10}
    finally:
        served.close()


@pytest.mark.skipif(missing_library() is not None, reason="libnghttp2 is not installed")
def test_overload_is_refused_on_the_wire_with_details(package: Package) -> None:
    served = Frontend(package, requests_per_second=0.001, burst=2)
    try:
        codes = []
        for _ in range(6):
            try:
                served.infer(request())
            except grpc.RpcError as caught:
                error: Any = caught
                told = read_error(error.details(), error.trailing_metadata())
                assert isinstance(told, Overloaded)
                assert told.details[0]["retry_after_seconds"] > 100
                codes.append(error.code())
        assert codes == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 4
        assert served.frontend.counts["refused"] >= 1
        assert served.admission.rejected == {"overloaded": 4}
    finally:
        served.close()


def _read(admission: Any) -> Any:
    totals: dict[tuple[str, str], Any] = {}
    for one in admission.clients.read():
        key = (one.client, one.outcome)
        before = totals[key].requests if key in totals else 0
        totals[key] = one._replace(requests=before + one.requests)
    return totals.values()


def test_metrics_name_clients(served: Any, keys_file: Path, rest: httpx.Client) -> None:
    from gnomon.server.serving.rest.frontend import RestFrontend

    key = create_key(keys_file, "app", ["eta"])
    settings = FrontendSettings(port=0, keys_file=keys_file)
    admission = make_admission(settings, served.handler)
    frontend = RestFrontend(served.handler, served.runtime, settings, 0, admission)
    frontend.open()
    good = {"instances": [{"distance": 800.0, "wind": 10.0, "carrier": "UA"}]}
    try:
        headers = {"authorization": f"Bearer {key}"}
        with httpx.Client(base_url=frontend.url, trust_env=False, headers=headers) as http:
            assert http.post("/v1/models/eta:predict", json=good).status_code == 200
            bad = {"instances": [{"distance": -1.0}]}
            assert http.post("/v1/models/eta:predict", json=bad).status_code == 422
            assert http.post("/v1/models/delay:predict", json=good).status_code == 403
            text = http.get("/metrics").text
    finally:
        frontend.close(0)
    answered = 'client="app",model="eta",outcome="answered",route="eta",version="1"'
    assert f"gnomon_client_requests_total{{{answered}}} 1.0" in text
    refused = 'client="app",model="",outcome="refused",route="eta",version=""'
    assert f"gnomon_client_requests_total{{{refused}}} 1.0" in text
    turned_away = 'client="app",model="",outcome="turned_away",route="",version=""'
    assert f"gnomon_client_requests_total{{{turned_away}}} 1.0" in text


def test_clients_without_a_place_share_one() -> None:
    from gnomon.server.serving.admission.clients import ANSWERED, OTHERS, Clients

    clients = Clients()
    for number in range(100):
        clients.count(f"client-{number}", "eta", "d", ANSWERED)
    counts = {one.client: one.requests for one in clients.read()}
    assert len(counts) == 65
    assert counts[OTHERS] == 36
    assert sum(counts.values()) == 100
    clients.retire({"d"})
    assert list(clients.read()) == []

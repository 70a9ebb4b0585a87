"""Split traffic and shadows without Python: the same choices as the runtime's, and all counted."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.packages.package import Package
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing import routes
from gnomon.runtime.routing.routes import Route, Target, single
from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.admission.admission import make_admission
from gnomon.server.serving.admission.client_counts import ClientCounts
from gnomon.server.serving.admission.clients import Clients
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.native.eligible import native_routes
from gnomon.server.serving.native.native_routes import NativeRoutes
from gnomon.server.serving.native.route import NativeRoute
from gnomon.server.serving.settings import FrontendSettings
from tests.support.packages import linear_onnx, make_package
from tests.support.serving import request

DEADLINE_SECONDS = 20


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


class Split:
    """Two versions on one route, a third that is no native model, and the frontend's table."""

    def __init__(self, folder: Path) -> None:
        self.runtime = Runtime(MemorySink())
        self.one = self._load(folder / "eta-1", version="1")
        self.two = self._load(folder / "eta-2", version="2", model=linear_onnx([0.0] * 5, 7.0))
        self.handler = Handler(self.runtime)
        self.admission = make_admission(FrontendSettings(), self.handler)
        self.routes = NativeRoutes(self.handler, self.admission)
        self.table = self.routes.new_table()
        self.runtime.apply([single("eta", self.one.digest)])
        self.routes.open()

    def _load(self, folder: Path, **options: Any) -> Package:
        made: Package = make_package(folder, None, **options)
        self.runtime.load(made)
        return made

    def serve(self, weight: int, **options: Any) -> Route:
        targets = (Target(self.one.digest, 1_000 - weight), Target(self.two.digest, weight))
        route = Route("eta", targets, **options)
        self.runtime.apply([route])
        return route

    def ask(self, **fields: Any) -> oip.ModelInferResponse | None:
        message = request()
        key = fields.pop("key", None)
        if key is not None:
            message.parameters["key"].string_param = key
        for name, value in fields.items():
            setattr(message, name, value)
        answer = self.table.try_message(message.SerializeToString())
        return None if answer is None else oip.ModelInferResponse.FromString(answer)

    def rows(self, digest: str, *, shadow: bool = False) -> int:
        series_totals = self.runtime.series_totals()
        return sum(
            sum(totals.rows.values())
            for key, totals in series_totals.items()
            if (key.digest, key.shadow) == (digest, shadow)
        )

    def close(self) -> None:
        self.routes.close()
        self.runtime.close()


@pytest.fixture
def split(tmp_path: Path) -> Iterator[Split]:
    split = Split(tmp_path)
    yield split
    split.close()


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Give a target, whichever: for what is decided before a target is asked."""
    split = Split(tmp_path_factory.mktemp("laid"))
    served = split.runtime._table.served
    from gnomon.server.serving.native.eligible import _build_target

    yield _build_target("eta", served["eta"].targets[split.one.digest])
    split.close()


@settings(max_examples=200, deadline=None)
@given(
    name=st.text(max_size=140).filter(lambda text: not text or text.isprintable()),
    key=st.text(max_size=300),
    shares=st.lists(st.integers(1, 400), min_size=1, max_size=6),
    share=st.integers(0, 1_000),
)
def test_keys_and_identities_lie_where_the_runtime_says(
    laid: Any, name: str, key: str, shares: list[int], share: int
) -> None:
    parts = np.array(shares)
    weights = [int(one) for one in np.diff(parts.cumsum() * 1_000 // parts.sum(), prepend=0)]
    targets = tuple(Target(str(place), weight) for place, weight in enumerate(weights))
    route = Route(name, targets, shadows=(Target("s", share),))
    counts = ClientCounts()
    native = NativeRoute(name, [(laid, weight, counts) for weight in weights], counts, share)
    if len(weights) > 1:
        assert str(native.choose(key)) == routes.choose_target(route, key)
    assert native.is_shadowed(key) == bool(routes.choose_shadows(route, key))


def test_a_key_sticks_and_the_answer_names_its_version(split: Split) -> None:
    route = split.serve(300)
    found = Counter()
    for number in range(200):
        answer = split.ask(key=f"customer-{number}")
        assert answer is not None
        expected = routes.choose_target(route, f"customer-{number}")
        assert answer.parameters["gnomon_digest"].string_param == expected
        assert answer.model_version == ("1" if expected == split.one.digest else "2")
        value = answer.outputs[0].contents.fp32_contents[0]
        assert value == pytest.approx(111.0 if answer.model_version == "1" else 7.0)
        found[answer.model_version] += 1
    assert split.rows(split.one.digest) == found["1"]
    assert split.rows(split.two.digest) == found["2"]
    assert found["2"] > 20


def test_chance_follows_the_weights(split: Split) -> None:
    for weight in (10, 500, 990):
        before = split.rows(split.two.digest)
        split.serve(weight)
        for _ in range(4_000):
            assert split.ask() is not None
        share = split.rows(split.two.digest) - before
        expected = 4 * weight
        # Seven standard deviations.
        assert abs(share - expected) < 7 * (expected * (1 - weight / 1_000)) ** 0.5


def test_a_switch_holds_for_the_very_next_request(split: Split) -> None:
    for weight in (0, 1_000, 0, 1_000):
        split.serve(weight)
        for _ in range(20):
            answer = split.ask(key="anyone")
            assert answer is not None
            assert answer.model_version == ("2" if weight else "1")


def test_a_version_may_be_requested_by_name(split: Split) -> None:
    split.serve(500)
    for version in ("1", "2"):
        for _ in range(10):
            answer = split.ask(model_version=version)
            assert answer is not None
            assert answer.model_version == version
    assert split.ask(model_version="3") is None


def test_what_is_declined_keeps_its_place(split: Split) -> None:
    """A canary whose engine or contract refuses must not have its calls drawn again."""
    split.serve(500)
    bad = request(distance=[-1.0])
    drawn = Counter()
    for _ in range(200):
        answer, position, _ = split.table.try_exchange(bad.SerializeToString())
        assert answer is None
        assert position is not None
        served = split.runtime._table.served["eta"]
        target = served.target(None, "", position)
        assert target is not None
        drawn[target.model.version] += 1
        with pytest.raises(Exception, match="distance"):
            split.handler.infer(bad, bucket=position)
    assert split.rows(split.one.digest) == drawn["1"]
    assert split.rows(split.two.digest) == drawn["2"]


def test_a_target_that_needs_python_takes_the_route_with_it(split: Split) -> None:
    served = split.runtime._table.served
    assert set(native_routes(served, Clients())) == {"eta"}
    split.serve(500)
    targets = split.runtime._table.served["eta"].targets
    engine = targets[split.two.digest].model.engine
    try:
        targets[split.two.digest].model.engine = object()
        assert native_routes(split.runtime._table.served, Clients()) == {}
    finally:
        targets[split.two.digest].model.engine = engine


@pytest.mark.parametrize("share", [1_000, 250])
def test_shadows_see_the_share_that_python_would_ask(split: Split, share: int) -> None:
    split.runtime.apply(
        [
            Route(
                "eta",
                (Target(split.one.digest, 1_000),),
                shadows=(Target(split.two.digest, share),),
            )
        ]
    )
    route = split.runtime.routes["eta"]
    expected = 0
    for number in range(100):
        answer = split.ask(id=f"request-{number}")
        assert answer is not None
        assert answer.model_version == "1"
        expected += bool(routes.choose_shadows(route, f"request-{number}"))
    until(lambda: split.rows(split.two.digest, shadow=True) == expected)
    assert split.rows(split.one.digest) == 100
    assert split.rows(split.two.digest) == 0
    assert split.runtime.dropped == 0


def test_a_shadow_that_hangs_or_fails_is_nobodys_trouble(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, release = threading.Event(), threading.Event()

    def hang(*_given: Any, **_options: Any) -> None:
        entered.set()
        assert release.wait(DEADLINE_SECONDS)
        raise RuntimeError("no shadow")

    monkeypatch.setattr(split.runtime, "run_shadows", hang)
    shadow = (Target(split.two.digest, 1_000),)
    split.runtime.apply([Route("eta", (Target(split.one.digest, 1_000),), shadows=shadow)])
    assert split.ask() is not None
    assert entered.wait(DEADLINE_SECONDS)
    for _ in range(1_500):
        assert split.ask() is not None
    assert split.rows(split.one.digest) == 1_501
    release.set()
    # One is with the shadow, a thousand wait; the rest had no room.
    until(lambda: split.runtime.dropped == 500)

"""Models that nobody asks for give back their engines; a memory budget refuses what is too much."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gnomon.bench.core.dense_network import dense_network
from gnomon.runtime.errors import InvalidOutput, MemoryExceeded, PackageError
from gnomon.runtime.packages.package import Package
from gnomon.runtime.raw_models.raw_model import write_raw_model
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.fallbacks import PackageFallback
from gnomon.runtime.routing.routes import Route, Target, single
from gnomon.runtime.runtime import Runtime
from tests.support.waiting import wait_for

GOOD = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}
COLUMNS = {name: [value] * 2 for name, value in GOOD.items()}


@pytest.fixture
def make() -> Iterator[Callable[..., Runtime]]:
    made: list[Runtime] = []

    def make(**options: Any) -> Runtime:
        made.append(Runtime(MemorySink(), **options))
        return made[-1]

    yield make
    for runtime in made:
        runtime.close()


def test_an_idle_model_sleeps_and_the_next_calls_wake_it(
    make: Callable[..., Runtime], package: Package
) -> None:
    runtime = make(idle_unload_seconds=0.05)
    model = runtime.load(package)
    runtime.apply([single("eta", package.digest)])
    for turn in range(3):
        wait_for(lambda: not model.is_awake)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: runtime.predict("eta", GOOD), range(16)))
        assert {one.outputs["air_time"] for one in answers} == {111.0}
        assert runtime.usage[package.digest].wakes >= turn + 1
    wait_for(lambda: not model.is_awake)
    assert runtime.predict_columns("eta", COLUMNS).outputs["air_time"].tolist() == [111.0] * 2
    (totals,) = runtime.series_totals().values()
    assert totals.calls["answered"] == 3 * 16 + 1
    assert totals.calls["failed"] == 0


def test_no_call_fails_however_often_models_sleep(
    make: Callable[..., Runtime], package: Package, write: Callable[..., Package]
) -> None:
    runtime = make()
    other = write("other", version="0")
    for one in (package, other):
        runtime.load(one)
    chain = (PackageFallback(other.digest),)
    runtime.apply([Route("eta", (Target(package.digest, 1000),), fallbacks=chain)])
    far = GOOD | {"distance": 9_000.0}
    asked = 0
    with ThreadPoolExecutor(4) as pool:
        for _ in range(50):
            answers = [pool.submit(runtime.predict, "eta", GOOD) for _ in range(8)]
            runtime.sleep({"eta"})
            assert {one.result(30).outputs["air_time"] for one in answers} == {111.0}
            asked += len(answers)
    # A fallback that sleeps is woken too; it fails just as its like does.
    runtime.sleep({"eta"})
    with pytest.raises(InvalidOutput, match="eta@1 gave an answer"):
        runtime.predict("eta", far)
    assert runtime.models[other.digest].is_awake
    assert sum(one.calls["answered"] for one in runtime.series_totals().values()) == asked


def test_a_route_that_is_asked_keeps_what_it_shares_awake(
    make: Callable[..., Runtime], package: Package, write: Callable[..., Package]
) -> None:
    runtime = make()
    other = write("other", version="2")
    staged = runtime.load(write("staged", version="3"))
    shared, idle = runtime.load(package), runtime.load(other)
    both = Route("idle", (Target(other.digest, 1000),), versions=(package.digest,))
    runtime.apply([single("busy", package.digest), both])
    runtime.sleep({"idle"})
    assert (shared.is_awake, idle.is_awake, staged.is_awake) == (True, False, True)
    assert runtime.load(other, check_golden=True) is idle
    assert idle.is_awake


def test_what_cannot_be_woken_is_reported_and_may_come_back(
    make: Callable[..., Runtime], package: Package
) -> None:
    runtime = make()
    runtime.load(package)
    runtime.apply([single("eta", package.digest)])
    runtime.sleep({"eta"})
    file = package.path / "model.onnx"
    content = file.read_bytes()
    file.write_bytes(b"something else")
    with pytest.raises(PackageError, match=r"eta@1: model.onnx"):
        runtime.predict("eta", GOOD)
    file.write_bytes(content)
    assert runtime.predict("eta", GOOD).outputs == {"air_time": 111.0}


@pytest.mark.slow
def test_a_load_beyond_the_budget_is_refused_and_nothing_changes(
    make: Callable[..., Runtime], package: Package, tmp_path: Path
) -> None:
    runtime = make(memory_budget_bytes=120 << 20)
    runtime.load(package)  # takes what the engine itself needs upon it
    runtime.apply([single("eta", package.digest)])
    loaded: list[Package] = []
    # At least 24 MiB each: the fifth can never find room.
    with pytest.raises(MemoryExceeded) as refused:
        for number in range(5):
            file = tmp_path / f"wide_{number}.onnx"
            file.write_bytes(dense_network((4 + number, 1536, 4096, 1), "score"))
            wide = write_raw_model(file, tmp_path / str(number), f"wide_{number}", "1")
            runtime.load(wide)
            loaded.append(wide)
    reference = f"wide_{len(loaded)}@1"
    assert str(refused.value).startswith(f"{reference} needs about ")
    assert "the budget is 120.0 MiB (memory_budget_bytes), and loaded are eta@1 " in str(
        refused.value
    )
    details = refused.value.details[0]
    assert details["needed_bytes"] >= 24 << 20
    assert set(details["loaded_bytes"]) == {"eta@1", *(one.reference for one in loaded)}
    assert set(runtime.models) == {package.digest, *(one.digest for one in loaded)}
    assert runtime.predict("eta", GOOD).outputs == {"air_time": 111.0}


def test_what_a_manifest_says_of_memory_counts_before_anything_is_loaded(
    make: Callable[..., Runtime], write: Callable[..., Package]
) -> None:
    greedy = write("greedy", needs={"memory_mib": 4096})
    with pytest.raises(MemoryExceeded, match=r"needs about 4096.0 MiB .* loaded are none"):
        make(memory_budget_bytes=1 << 30).load(greedy)


def test_what_sleeps_leaves_its_room_to_others(
    make: Callable[..., Runtime], package: Package, write: Callable[..., Package]
) -> None:
    one, other = (write(f"half-{n}", version=str(n), needs={"memory_mib": 300}) for n in (1, 2))
    runtime = make(memory_budget_bytes=500 << 20)
    runtime.load(one)
    runtime.apply([single("one", one.digest)])
    with pytest.raises(MemoryExceeded, match=r"eta@2 needs about 300.0 MiB"):
        runtime.load(other)
    runtime.sleep({"one"})
    runtime.load(other)
    runtime.apply([single("one", one.digest), single("other", other.digest)])
    with pytest.raises(MemoryExceeded, match=r"eta@1 needs about 300.0 MiB"):
        runtime.predict("one", GOOD)
    assert runtime.predict("other", GOOD).outputs == {"air_time": 111.0}

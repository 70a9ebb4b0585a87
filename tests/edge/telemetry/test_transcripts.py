"""Requests and answers that a package allows to be written down: which, and for how long."""

import dataclasses
import errno
import json
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from gnomon.core.contract.violations import PRIVATE
from gnomon.edge.settings import NodeSettings
from gnomon.edge.standalone.standalone_node import open_node
from gnomon.edge.telemetry.transcript_folder import TranscriptFolder, read_transcripts
from gnomon.runtime.packages.manifest import Deployment
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.profile import encode_profile
from gnomon.runtime.prediction import PredictRequest
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.admission.clients import Clients
from gnomon.server.serving.native.eligible import native_routes
from tests.support.failing_disk import FailingDisk
from tests.support.packages import linear_onnx, make_package, make_profile, package_files

GOOD: dict[str, Any] = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}
Serve = Callable[..., tuple[Runtime, "MemoryTranscripts"]]


class MemoryTranscripts:
    """Keeps lines in a list; has no room where it is told so."""

    def __init__(self) -> None:
        self.dropped = 0
        self.lines: list[dict[str, Any]] = []
        self.is_full = False

    def put(self, lines: Sequence[bytes]) -> None:
        if self.is_full:
            raise OSError("no space left")
        self.lines += [json.loads(line) for line in lines]

    def close(self) -> None:
        pass


def make(folder: Path, permille: int | None, *, private: bool = False) -> Package:
    profile = make_profile()
    inputs = tuple(
        dataclasses.replace(field, private=private and field.name == "carrier")
        for field in profile.inputs
    )
    files = package_files(linear_onnx([0.125, 0.1, 0.0, 10.0, 0.0], 0.0))
    files["profile.json"] = encode_profile(dataclasses.replace(profile, inputs=inputs))
    options = {} if permille is None else {"transcript_permille": permille}
    deployment = Deployment(window_seconds=3_600, **options)
    return make_package(folder, None, files=files, deployment=deployment)


@pytest.fixture
def serve(tmp_path: Path) -> Any:
    opened: list[Runtime] = []

    def serve(permille: int | None, **options: Any) -> tuple[Runtime, MemoryTranscripts]:
        sink = MemoryTranscripts()
        runtime = Runtime(MemorySink(), transcripts=sink)
        opened.append(runtime)
        package = make(tmp_path / f"eta-{len(opened)}", permille, **options)
        runtime.load(package)
        runtime.apply([single("eta", package.digest)])
        return runtime, sink

    yield serve
    for runtime in opened:
        runtime.close()


def test_each_way_of_asking_leaves_the_same(serve: Serve) -> None:
    runtime, sink = serve(1_000)
    runtime.predict("eta", GOOD, request_id="a", at=36_000.0)
    runtime.predict_columns(
        "eta", {name: [value] * 2 for name, value in GOOD.items()}, request_id="b", at=36_000.0
    )
    runtime.predict_rows(
        "eta", [PredictRequest(GOOD, f"c{place}", at=36_000.0) for place in range(3)]
    )
    runtime.flush()
    assert [one.pop("id") for one in sink.lines] == ["a", "b/0", "b/1", "c0", "c1", "c2"]
    for one in sink.lines:
        assert one["inputs"] == GOOD
        assert one["outputs"] == {"air_time": pytest.approx(111.0)}
        assert (one["at"], one["route"], one["version"]) == (36_000.0, "eta", "1")


def test_private_and_unknown_fields_are_masked(serve: Serve) -> None:
    runtime, sink = serve(1_000, private=True)
    runtime.predict("eta", GOOD)
    with pytest.raises(Exception, match="secret"):
        runtime.predict("eta", GOOD | {"secret": 4711})
    runtime.flush()
    (one,) = sink.lines
    assert one["inputs"] == GOOD | {"carrier": PRIVATE}
    assert "4711" not in str(sink.lines)


@pytest.mark.parametrize(("permille", "least", "most"), [(None, 0, 0), (0, 0, 0), (200, 20, 100)])
def test_the_package_says_how_many(
    serve: Serve, permille: int | None, least: int, most: int
) -> None:
    runtime, sink = serve(permille)
    for place in range(300):
        runtime.predict("eta", GOOD, request_id=f"r{place}")
    runtime.flush()
    assert least <= len(sink.lines) <= most


def test_what_there_is_no_room_for_is_counted(serve: Serve) -> None:
    runtime, sink = serve(1_000)
    sink.is_full = True
    for _ in range(5):
        runtime.predict("eta", GOOD)
    runtime.flush()
    assert runtime.dropped == 5
    sink.is_full = False
    runtime.predict("eta", GOOD)
    runtime.flush()
    assert len(sink.lines) == 1


def test_the_native_frontend_leaves_such_routes_to_python(serve: Serve) -> None:
    for permille, routes in ((1_000, 0), (None, 1)):
        runtime, _ = serve(permille)
        found: list[int] = []
        runtime.watch(
            lambda served, found=found: found.append(len(native_routes(served, Clients())))
        )  # type: ignore[misc]
        assert found == [routes]


def test_an_old_manifest_keeps_its_digest(tmp_path: Path) -> None:
    assert b"transcript" not in make(tmp_path / "a", None).manifest_bytes
    assert make(tmp_path / "b", 10).manifest.deployment.transcript_permille == 10
    with pytest.raises(ValueError, match="0 to 1000"):
        Deployment(transcript_permille=1_001)


def test_a_node_keeps_them_and_replays_the_same(tmp_path: Path) -> None:
    package = make(tmp_path / "eta-1", 1_000)
    folder = tmp_path / "transcripts"
    settings = NodeSettings(packages=(package.path,), transcripts_folder=folder)
    rows = [GOOD | {"distance": 100.0 * place} for place in range(1, 6)]
    for part in (rows[:3], rows[3:]):
        node = open_node(settings)
        for row in part:
            node.runtime.predict("eta", row)
        node.stop()
    kept = list(read_transcripts(folder))
    assert [one["inputs"] for one in kept] == rows
    node = open_node(NodeSettings(packages=(package.path,)))
    for one in kept:
        assert node.runtime.predict("eta", one["inputs"]).outputs == pytest.approx(one["outputs"])
    node.stop()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_the_oldest_go_first_and_are_counted(tmp_path: Path) -> None:
    folder = TranscriptFolder(tmp_path / "kept", budget_bytes=8_000)
    for place in range(1_000):
        folder.put([json.dumps({"place": place}).encode()])
    folder.put([b"x" * 2_000])
    folder.close()
    kept = [one["place"] for one in read_transcripts(tmp_path / "kept")]
    assert kept == list(range(kept[0], 1_000))
    assert folder.dropped == 1_000 - len(kept) + 1
    assert 4_000 < sum(path.stat().st_size for path in (tmp_path / "kept").iterdir()) <= 8_000


def test_a_torn_line_is_left_out_and_nothing_else(tmp_path: Path) -> None:
    folder = TranscriptFolder(tmp_path, budget_bytes=8_000)
    folder.put([b'{"place":1}'])
    folder.close()
    (path,) = tmp_path.iterdir()
    with path.open("ab") as file:
        file.write(b'{"pla')
    folder = TranscriptFolder(tmp_path, budget_bytes=8_000)
    folder.put([b'{"place":2}'])
    folder.close()
    assert [one["place"] for one in read_transcripts(tmp_path)] == [1, 2]


@pytest.mark.parametrize("error", [errno.EROFS, errno.ENOSPC])
def test_transcripts_go_on_after_a_disk_that_failed_and_closing_raises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    folder = TranscriptFolder(tmp_path / "transcripts", 800)
    line = b'{"id":"x"}' + b" " * 60
    folder.put([line])
    disk = FailingDisk(tmp_path, error, monkeypatch)
    with pytest.raises(OSError, match=os.strerror(error)):
        folder.put([line] * 3)  # the second segment cannot begin
    with pytest.raises(OSError, match=os.strerror(error)):
        folder.put([line])
    disk.mend()
    folder.put([line])
    folder.close()
    assert len(list(read_transcripts(tmp_path / "transcripts"))) >= 2


def test_a_full_disk_at_the_end_costs_lines_and_no_error(tmp_path: Path) -> None:
    folder = TranscriptFolder(tmp_path, 8_000)
    os.dup2(os.open("/dev/full", os.O_WRONLY), folder._file.fileno())
    with pytest.raises(OSError, match="No space left"):
        folder.put([b"{}"])
    folder.close()

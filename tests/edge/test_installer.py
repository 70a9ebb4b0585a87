"""What the installer refuses before anything is fetched, and windows that merge on the node."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gnomon.edge.installer import Installer
from gnomon.edge.kept_profiles import KeptProfiles
from gnomon.edge.sync_state import Step
from gnomon.edge.telemetry.spool import Spool
from gnomon.edge.telemetry.uploader import SpoolSink
from gnomon.proto import hub_pb2
from gnomon.runtime.errors import HubError, PackageError
from gnomon.runtime.packages.manifest import DeclaredFallback, Deployment
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer, TrustStore
from gnomon.runtime.packages.slots import Slots
from gnomon.runtime.recording.sink import NullSink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime
from tests.support.packages import make_package

GOOD = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}


@pytest.fixture
def package(tmp_path: Path, signer: Signer) -> Package:
    made: Package = make_package(tmp_path / "eta-1", signer)
    return made


def refer(package: Package) -> hub_pb2.PackageRef:
    """Return how a hub names a package to a node."""
    manifest = package.manifest
    return hub_pb2.PackageRef(
        name=manifest.name,
        version=manifest.version,
        digest=package.digest,
        format=manifest.format,
        envelopes=package.envelopes,
    )


def test_a_full_spool_merges_real_windows_and_loses_no_count(
    tmp_path: Path, package: Package
) -> None:
    installers: list[Installer] = []
    spool = Spool(
        tmp_path / "spool",
        budget_bytes=4_000,
        merge=lambda *windows: installers[0].merge_windows(*windows),
    )
    runtime = Runtime(SpoolSink(spool), checkpoint_seconds=3_600)
    installers.append(
        Installer(
            Slots(tmp_path / "slots"), runtime, ("onnx",), KeptProfiles(tmp_path / "profiles")
        )
    )
    runtime.load(package)
    runtime.apply([single("eta", package.digest)])
    for number in range(60):
        runtime.predict("eta", GOOD, at=1_700_000_000 + number)
        runtime.flush()
    rows = answered = 0
    _, records = spool.batch(1 << 20)
    for data in records:
        record = hub_pb2.Record.FromString(data)
        if record.HasField("window"):
            window = package.profile.read_window(record.window.window)
            rows += record.window.rows
            answered += window.outcome_rows["answered"]
    assert (rows, answered) == (60, 60)
    assert spool.figures().merged > 0
    assert installers[0].merge_windows("f" * 64, b"", b"") is None
    assert installers[0].merge_windows(package.digest, b"no", b"windows") is None
    runtime.close()


def test_what_cannot_be_restored_is_reported_and_the_rest_answers(
    tmp_path: Path, package: Package, trust: TrustStore
) -> None:
    slots = Slots(tmp_path / "slots")
    for digest, data in package.iter_blobs():
        slots.put(digest, data)
    slots.install(package.digest, package.envelopes, trust)
    runtime = Runtime(SpoolSink(Spool(tmp_path / "spool")))
    installer = Installer(slots, runtime, ("onnx",), KeptProfiles(tmp_path / "profiles"))
    lost = "0" * 64
    state = hub_pb2.DesiredState(
        generation=1,
        packages=[hub_pb2.PackageRef(digest=package.digest), hub_pb2.PackageRef(digest=lost)],
        routes=[
            hub_pb2.Route(name="eta", targets=[hub_pb2.Target(digest=package.digest, weight=1000)]),
            hub_pb2.Route(name="lost", targets=[hub_pb2.Target(digest=lost, weight=1000)]),
        ],
    )
    (failure,) = installer.restore(state, trust)
    assert "not installed" in failure
    assert list(runtime.routes) == ["eta"]
    assert runtime.predict("eta", GOOD).version == "1"
    assert len(installer.restore(state, TrustStore(()))) == 1
    runtime.close()


def test_windows_of_a_package_merge_after_it_was_removed(tmp_path: Path, package: Package) -> None:
    kept = KeptProfiles(tmp_path / "profiles")
    kept.keep(package.digest, package.profile)
    runtime = Runtime(NullSink())
    again = KeptProfiles(tmp_path / "profiles")
    installer = Installer(Slots(tmp_path / "slots"), runtime, ("onnx",), again)
    empty = package.profile.new_window().to_bytes()
    assert installer.merge_windows(package.digest, empty, empty) == empty
    installer.forget_profiles()
    assert installer.merge_windows(package.digest, empty, empty) is None
    assert list((tmp_path / "profiles").iterdir()) == []
    runtime.close()


def test_a_route_leads_to_packages_that_are_given(package: Package, trust: TrustStore) -> None:
    nothing: Any = None
    installer = Installer(nothing, nothing, ("onnx",), nothing)
    targets = [hub_pb2.Target(digest=one, weight=500) for one in (package.digest, "f" * 64)]
    state = hub_pb2.DesiredState(
        packages=[refer(package)], routes=[hub_pb2.Route(name="eta", targets=targets)]
    )
    with pytest.raises(HubError, match=r"needs \['f{64}'\], which is not given"):
        installer.execute_step(Step.CHECK, state, nothing, trust)


@pytest.mark.parametrize("is_installed", [False, True])
@pytest.mark.parametrize("field", ["name", "version", "format"])
def test_a_package_is_what_the_hub_calls_it(
    tmp_path: Path, package: Package, trust: TrustStore, field: str, is_installed: bool
) -> None:
    """Also one that is on the node already, which might answer in another model's name."""
    nothing: Any = None
    slots = Slots(tmp_path / "slots")
    for digest, data in package.iter_blobs():
        slots.put(digest, data)
    if is_installed:
        slots.install(package.digest, package.envelopes, trust)
    installer = Installer(slots, nothing, ("onnx",), nothing)
    channel: Any = SimpleNamespace(blobs=iter)
    state = hub_pb2.DesiredState(packages=[refer(package)])
    installer.execute_step(Step.DOWNLOAD, state, channel, trust)  # nothing is missing
    setattr(state.packages[0], field, "other")
    with pytest.raises(PackageError, match="the hub calls"):
        installer.execute_step(Step.DOWNLOAD, state, channel, trust)


@pytest.mark.parametrize(
    "foreign",
    [
        hub_pb2.Fallback(constant='{"air_time": 1.0}'),
        hub_pb2.Fallback(rule={"air_time": "distance"}),
    ],
)
def test_a_model_is_answered_for_by_fallbacks_that_its_packages_declare(
    tmp_path: Path, signer: Signer, trust: TrustStore, foreign: hub_pb2.Fallback
) -> None:
    """A rule or constants that the hub made up would be an unsigned model of its name."""
    declared = DeclaredFallback(constant={"air_time": 20.0})
    deployment = Deployment(window_seconds=3_600, fallback=(declared,))
    package = make_package(tmp_path / "eta-1", signer, deployment=deployment)
    slots = Slots(tmp_path / "slots")
    for digest, data in package.iter_blobs():
        slots.put(digest, data)
    slots.install(package.digest, package.envelopes, trust)
    runtime = Runtime(NullSink())
    installer = Installer(slots, runtime, ("onnx",), KeptProfiles(tmp_path / "profiles"))
    route = hub_pb2.Route(
        name="eta",
        targets=[hub_pb2.Target(digest=package.digest, weight=1000)],
        fallbacks=[hub_pb2.Fallback(constant='{"air_time": 20.0}')],
    )
    state = hub_pb2.DesiredState(
        packages=[hub_pb2.PackageRef(digest=package.digest)], routes=[route]
    )
    channel: Any = None  # nothing is fetched
    installer.execute_step(Step.STAGE, state, channel, trust)
    state.routes[0].fallbacks.append(foreign)
    with pytest.raises(HubError, match="fallback that no package of it declares"):
        installer.execute_step(Step.STAGE, state, channel, trust)
    runtime.close()

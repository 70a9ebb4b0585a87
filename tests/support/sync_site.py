"""A node's installation over fakes of what it touches, which can be killed at any call."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gnomon.edge.installer import Installer
from gnomon.edge.sync_executor import SyncExecutor
from gnomon.edge.sync_state import Step, SyncState
from gnomon.proto import hub_pb2
from gnomon.runtime.enrolment.hub_channel import ContentRefused
from gnomon.runtime.errors import (
    ConfigurationError,
    EngineError,
    GnomonError,
    HubUnavailable,
    PackageError,
    StorageError,
)
from gnomon.runtime.packages.manifest import Deployment, Needs
from gnomon.runtime.routing.routes import Route
from gnomon.runtime.state_file import StateFile

#: What is wrong with a version, by its first letter; any other is good.
FAULTS = {
    "u": "CHECK",  # not signed by a trusted key
    "d": "DOWNLOAD",  # damaged content
    "n": "DOWNLOAD",  # the hub does not send it
    "v": "VERIFY",
    "m": "EXAMINE",  # takes too much memory
    "h": "EXAMINE",  # never ends to load
    "l": "STAGE",  # cannot be loaded here
    "g": "WARM",  # golden samples differ
    "f": "TRIAL",  # its fallback does not fit, which the route shows
    "t": "TRIAL",  # they differ only once its route is in service
}
EXAMINATION_SECONDS = 120.0


class Killed(BaseException):
    """The process was killed."""


@dataclass
class World:
    """What outlives the process: disk, hub and time."""

    folder: Path
    stored: set[str] = field(default_factory=set)
    is_full: bool = False
    is_away: bool = False
    is_mended: bool = False  # content that the hub did not send
    now: float = 0.0  # of the clock that only rises
    wall: float = 1_700_000_000.0  # of the clock that may be set
    kill_in: int = 0

    def touch(self) -> None:
        """Count a call; the one that it is time for kills the process."""
        self.kill_in -= 1
        if self.kill_in == 0:
            raise Killed

    def write(self) -> None:
        self.touch()
        if self.is_full:
            raise StorageError("no space left on the device")


class _State(StateFile[SyncState]):
    def __init__(self, world: World) -> None:
        super().__init__(world.folder / "sync.json", SyncState.decode)
        self._world = world

    def write(self, data: bytes) -> None:
        self._world.write()
        super().write(data)
        self._world.touch()  # killed after the write is as likely


class _Slots:
    """Packages on the disk; a digest is `name-version`."""

    def __init__(self, world: World) -> None:
        self._world = world

    def installed(self) -> frozenset[str]:
        return frozenset(self._world.stored)

    def open(self, digest: str, _: Any) -> Any:
        if digest not in self._world.stored:
            raise PackageError(f"package {digest} is not installed")
        name, version = digest.split("-")
        manifest = SimpleNamespace(
            name=name, version=version, format="onnx", deployment=Deployment(), needs=Needs()
        )
        return SimpleNamespace(digest=digest, manifest=manifest, profile=None)

    def manifest(self, digest: str) -> Any:
        name, version = digest.split("-")
        return SimpleNamespace(name=name, version=version, format="onnx", needs=Needs())

    def missing(self, manifest: Any) -> list[str]:
        return [f"{manifest.name}-{manifest.version}"]

    def put(self, digest: str, _: bytes) -> None:
        self._world.write()
        if digest.split("-")[1][0] == "d":
            raise PackageError(f"the content of {digest} is damaged")

    def install(self, digest: str, *_: Any) -> None:
        self._world.write()
        if digest.split("-")[1][0] == "v":
            raise PackageError(f"{digest} contradicts its manifest")
        self._world.stored.add(digest)

    def collect(self, keep: Iterable[str]) -> list[str]:
        self._world.touch()
        gone = self._world.stored - set(keep)
        self._world.stored -= gone
        return sorted(gone)


class _Runtime:
    """Models and routes in memory."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.models: dict[str, Any] = {}
        self.routes: dict[str, Route] = {}
        self._checks: Counter[str] = Counter()

    def load(self, package: Any, *, check_golden: bool = False) -> None:
        self._world.touch()
        fault = package.manifest.version[0]
        if fault == "l":
            raise EngineError(f"{package.digest} cannot be loaded")
        self._checks[package.digest] += check_golden
        if check_golden and fault in ("g", "t" if self._checks[package.digest] > 1 else "g"):
            raise PackageError(f"{package.digest} does not reproduce its golden samples")
        self.models[package.digest] = SimpleNamespace(package=package)

    def apply(self, routes: Iterable[Route]) -> None:
        self._world.touch()
        wanted = {route.name: route for route in routes}
        assert all(set(route.digests) <= self.models.keys() for route in wanted.values())
        if any(digest.split("-")[1][0] == "f" for one in wanted.values() for digest in one.digests):
            raise ConfigurationError("a fallback does not fit its target")
        self.routes = wanted

    def unload(self, digest: str) -> None:
        assert not any(digest in route.digests for route in self.routes.values())
        del self.models[digest]


class _Examiner:
    """Examines by the clock that only rises, and knows after a restart nothing of before."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._since: dict[str, float] = {}

    def examine(self, package: hub_pb2.PackageRef, _: float) -> bool:
        self._world.touch()
        if package.version[0] == "m":
            raise EngineError(f"{package.digest} needs too much memory")
        if package.version[0] != "h":
            return True
        since = self._since.setdefault(package.digest, self._world.now)
        if self._world.now - since >= EXAMINATION_SECONDS:
            raise EngineError(f"{package.digest} was not loaded in time")
        return False

    def stop(self) -> None:
        pass


class _Trust:
    former_keys = SimpleNamespace(verify=lambda *_: ())
    revoked = ()

    def check(self, packages: Iterable[hub_pb2.PackageRef], in_service: Iterable[str]) -> None:
        for package in packages:
            if package.version[0] == "u" and package.digest not in in_service:
                raise PackageError(f"{package.digest} is signed by no trusted key")

    def note_in_service(self, _: Any) -> tuple[str, ...]:
        return ()


class Site:
    """One process after the other over one world; `sync` is what the node does between calls."""

    def __init__(self, world: World, wait_seconds: float = 30.0) -> None:
        """Start; `wait_seconds` is how long a step that loads models is waited for."""
        self.world = world
        self._wait_seconds = wait_seconds
        self.start()

    def start(self) -> None:
        """Start a process, which serves what was in service."""
        while True:
            try:
                self._open()
                self.executor.restore()
                return
            except Killed:
                self.world.kill_in = 0

    def sync(self, desired: hub_pb2.DesiredState) -> None:
        """Call the hub once; an error is one that the node would log and try again after."""
        machine = self.executor.machine
        self.world.now += 5.0
        self.world.wall += 5.0
        try:
            failure = self.executor.complete_interrupted(self.channel)
            if self.world.is_away:
                raise HubUnavailable("the hub cannot be reached")
            if failure is not None:
                raise failure
            if machine.step is Step.REPORT:
                machine.advance()
            if not self.executor.is_busy and machine.propose(desired):
                self.executor.install(self.channel)
        except GnomonError:
            pass
        except Killed:
            self.start()

    def _open(self) -> None:
        world = self.world
        self.runtime: Any = _Runtime(world)
        slots: Any = _Slots(world)
        profiles: Any = SimpleNamespace(keep=lambda *_: None)
        examiner: Any = _Examiner(world)
        trust: Any = _Trust()
        self.channel: Any = SimpleNamespace(blobs=self._fetch)
        installer = Installer(slots, self.runtime, ("onnx",), profiles, examiner)
        stopping: Callable[[], bool] = lambda: False  # noqa: E731
        self.executor = SyncExecutor(
            _State(world),
            installer,
            trust,
            lambda _kind, _detail: None,
            stopping,
            wait_seconds=self._wait_seconds,
        )

    def _fetch(self, digests: list[str]) -> Any:
        for digest in digests:
            self.world.touch()
            if self.world.is_away:
                raise HubUnavailable("the download was interrupted")
            if digest.split("-")[1][0] == "n" and not self.world.is_mended:
                raise ContentRefused("its content is damaged at the hub")
            yield digest, b""

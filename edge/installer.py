"""Executes the steps that `gnomon.edge.sync` decides on, with slots, runtime and hub."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator

from gnomon.edge.desired_checks import (
    check_fallbacks,
    check_manifest,
    check_route,
    decode_routes,
)
from gnomon.edge.examination import PackageExaminer
from gnomon.edge.kept_profiles import KeptProfiles
from gnomon.edge.route_trial import try_routes
from gnomon.edge.step_thread import StepUnderWay
from gnomon.edge.sync_state import Step
from gnomon.proto import hub_pb2
from gnomon.runtime.enrolment.download import ContentUnavailable, fetch_blobs
from gnomon.runtime.enrolment.hub_channel import ContentRefused, HubChannel
from gnomon.runtime.errors import EngineError, GnomonError, PackageError
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import TrustStore
from gnomon.runtime.packages.slots import Slots
from gnomon.runtime.packages.versioning import age
from gnomon.runtime.routing.routes import Route, from_message, single
from gnomon.runtime.runtime import Runtime

_log = logging.getLogger(__name__)

#: How long an examination is waited for before the hub is called again.
_WAIT_SECONDS = 2.0
#: How often the hub may refuse the content of a package before the others are installed without.
_ATTEMPTS = 3


class Installer:
    """Brings a desired state into service on one node; used by one thread.

    Attributes:
        subject: the package, or the name of the route, that the last step failed at; empty: the
            step is about more than one.
    """

    def __init__(
        self,
        slots: Slots,
        runtime: Runtime,
        engines: tuple[str, ...],
        profiles: KeptProfiles,
        examiner: PackageExaminer | None = None,
    ) -> None:
        """Install nothing yet.

        Args:
            slots: of the packages.
            runtime: puts them into service.
            engines: formats that this node runs.
            profiles: keeps what merging windows needs.
            examiner: tries new packages apart from this process; None: they are tried only here.
        """
        self._examiner = examiner
        self._refused: Counter[str] = Counter()
        self.subject: hub_pb2.PackageRef | str = ""
        self._profiles = profiles
        self._slots = slots
        self._runtime = runtime
        self._engines = engines

    @property
    def has_routes(self) -> bool:
        """Whether a route is in service."""
        return bool(self._runtime.routes)

    def execute_step(
        self, step: Step, desired: hub_pb2.DesiredState, channel: HubChannel, trust: TrustStore
    ) -> None:
        """Execute one step towards the desired state.

        Args:
            step: the step to execute.
            desired: the state to install.
            channel: the connection to the hub.
            trust: the keys that must have signed the packages.

        Raises:
            StepUnderWay: the step is not done yet.
            HubUnavailable: the hub cannot be reached; the step can be repeated.
            GnomonError: the desired state cannot be put into service here; the message says why.
        """
        self.subject = ""
        match step:
            case Step.CHECK:
                self._check_packages(desired, trust)
            case Step.DOWNLOAD:
                for package in self.each(desired.packages):
                    self._try_download(package, channel, trust)
            case Step.VERIFY:
                for package in self.each(desired.packages):
                    self._slots.install(package.digest, package.envelopes, trust)
            case Step.EXAMINE:
                self._examine(desired)
            case Step.STAGE:
                for package in self.each(desired.packages):
                    self._load_package(package, trust)
                self._check_fallbacks(desired)
            case Step.WARM:
                self._warm_up(desired)
            case Step.TRIAL:
                self.subject, error = try_routes(self._runtime, decode_routes(desired))
                if error is not None:
                    raise error
                self._warm_up(desired)

    def each(self, packages: Iterable[hub_pb2.PackageRef]) -> Iterator[hub_pb2.PackageRef]:
        """Yield packages; each is the subject until the next one is taken."""
        for package in packages:
            self.subject = package
            yield package
        self.subject = ""

    def unload_refused(self, digest: str, state: hub_pb2.DesiredState) -> None:
        """Free the memory of a package that is refused, unless it is part of the state."""
        in_service = {package.digest for package in state.packages}
        if digest in self._runtime.models and digest not in in_service:
            self._runtime.unload(digest)

    def restore(self, state: hub_pb2.DesiredState, trust: TrustStore) -> list[str]:
        """Load a state's packages without the hub; return the messages of what failed.

        A route is put into service if all its packages can be loaded, even if others fail.
        """
        failures: list[str] = []
        for package in state.packages:
            try:
                self._load_package(package, trust)
            except GnomonError as error:
                failures.append(str(error))
        loaded = self._runtime.models
        self._runtime.apply(
            route for route in decode_routes(state) if all(one in loaded for one in route.digests)
        )
        return failures

    def installed(self) -> frozenset[str]:
        """Return the digests of the packages in the slots."""
        return self._slots.installed()

    def restore_newest(self, digests: Iterable[str], trust: TrustStore) -> list[str]:
        """Serve the newest trusted package of each model; return their names.

        For a node that has lost what should be in service: it predicts until the hub says so.

        Args:
            digests: of the packages to choose from; those that are not installed are left out.
            trust: the keys that must have signed them.
        """
        found: dict[str, list[Package]] = {}
        for digest in sorted(self._slots.installed() & set(digests)):
            try:
                package = self._slots.open(digest, trust)
            except GnomonError as error:
                _log.warning("package %s cannot be used: %s", digest[:16], error)
                continue
            found.setdefault(package.manifest.name, []).append(package)
        newest = {name: self._load_newest(ones) for name, ones in found.items()}
        routes = [single(name, one.digest) for name, one in newest.items() if one is not None]
        self._runtime.apply(routes)
        return [one.manifest.reference for one in newest.values() if one is not None]

    def merge_windows(self, digest: str, one: bytes, other: bytes) -> bytes | None:
        """Merge two windows of a package; None if its profile is unknown or they do not match."""
        model = self._runtime.models.get(digest)
        profile = model.package.profile if model else self._profiles.find(digest)
        if profile is None:
            return None
        try:
            window = profile.read_window(one)
            window.merge(profile.read_window(other))
        except ValueError as error:
            _log.warning("windows of package %s are not merged: %s", digest[:16], error)
            return None
        return window.to_bytes()

    def remove_unused(self, state: hub_pb2.DesiredState) -> None:
        """Unload and delete packages that are not part of the state in service."""
        self.stop()
        keep = {package.digest for package in state.packages}
        for digest in set(self._runtime.models) - keep:
            self._runtime.unload(digest)
        for digest in self._slots.collect(keep):
            _log.info("package %s was removed", digest[:16])

    def forget_profiles(self) -> None:
        """Keep only the profiles of loaded packages: no window of another one waits."""
        self._profiles.retain(set(self._runtime.models))

    def stop(self) -> None:
        """End what is examined."""
        if self._examiner is not None:
            self._examiner.stop()

    def _examine(self, desired: hub_pb2.DesiredState) -> None:
        if self._examiner is None:
            return
        for package in self.each(desired.packages):
            is_loaded = package.digest in self._runtime.models
            if not (is_loaded or self._examiner.examine(package, _WAIT_SECONDS)):
                raise StepUnderWay

    def _load_package(self, package: hub_pb2.PackageRef, trust: TrustStore) -> None:
        if package.digest not in self._runtime.models:
            opened = self._slots.open(package.digest, trust)
            self._runtime.load(opened)
            self._profiles.keep(package.digest, opened.profile)

    def _load_newest(self, packages: list[Package]) -> Package | None:
        """Load the newest package of a model that this node can run; or None."""
        for package in sorted(packages, key=lambda one: age(one.manifest.version), reverse=True):
            if package.manifest.format not in self._engines:
                continue
            try:
                self._runtime.load(package, check_golden=True)
            except GnomonError as error:
                _log.warning("%s cannot be loaded: %s", package.manifest.reference, error)
                continue
            self._profiles.keep(package.digest, package.profile)
            return package
        return None

    def _check_packages(self, desired: hub_pb2.DesiredState, trust: TrustStore) -> None:
        for package in self.each(desired.packages):
            trust.verify(package.digest, package.envelopes, package.name)
            if package.format not in self._engines:
                raise EngineError(
                    f"{package.name}@{package.version} has format {package.format!r}; this node "
                    f"runs {', '.join(self._engines) or 'none'}"
                )
        for route in self._each_route(desired):
            check_route(route, desired.packages)

    def _each_route(self, desired: hub_pb2.DesiredState) -> Iterator[Route]:
        """Yield the routes; each is the subject until the next one is taken."""
        for route in desired.routes:
            self.subject = route.name
            yield from_message(route)
        self.subject = ""

    def _check_fallbacks(self, desired: hub_pb2.DesiredState) -> None:
        """Check that no rule or constants answer in a model's name that it does not bring along."""
        for route in self._each_route(desired):
            check_fallbacks(
                route,
                [self._runtime.models[one].package.manifest.deployment for one in route.digests],
            )

    def _try_download(
        self, package: hub_pb2.PackageRef, channel: HubChannel, trust: TrustStore
    ) -> None:
        """Download a package; after some attempts that the hub refused, go on without it."""
        try:
            self._download(package, channel, trust)
        except ContentRefused as error:
            self._refused[package.digest] += 1
            if self._refused[package.digest] < _ATTEMPTS:
                raise
            del self._refused[package.digest]
            raise ContentUnavailable(f"{package.name}@{package.version}: {error}") from error
        self._refused.pop(package.digest, None)

    def _download(
        self, package: hub_pb2.PackageRef, channel: HubChannel, trust: TrustStore
    ) -> None:
        if package.digest in self._slots.installed():
            try:
                opened = self._slots.open(package.digest, trust)
            except PackageError as error:
                _log.warning("package %s is fetched again: %s", package.digest[:16], error)
                self._slots.discard(package.digest)
            else:
                check_manifest(opened.manifest, package)
                return
        manifest = self._slots.manifest(package.digest)
        if manifest is None:
            fetch_blobs(self._slots, [package.digest], channel)
            manifest = self._slots.manifest(package.digest)
        if manifest is None:
            raise PackageError(f"the manifest of package {package.digest[:16]} did not come whole")
        check_manifest(manifest, package)
        fetch_blobs(self._slots, self._slots.missing(manifest), channel)

    def _warm_up(self, desired: hub_pb2.DesiredState) -> None:
        for package in self.each(desired.packages):
            # Loaded already; one that sleeps is woken.
            self._runtime.load(self._runtime.models[package.digest].package, check_golden=True)

"""Kills hub and builder during a push, repeatedly: `python -m gnomon.bench.hub.kills`.

In each round a builder pushes a new version, and at a random moment (seeded) the builder or the
hub, alternately, is ended with SIGKILL. Then the doctor must find no fault in the hub. The version
must be there completely, so that it can be pulled and equals what was pushed, or not at all, so
that pushing it again succeeds. Exits with 1 if that is not so.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random

from gnomon.bench.hub import postgres
from gnomon.bench.hub.kills_parties import Builder, HubProcess, Packages
from gnomon.client.hub import HubClient
from gnomon.client.registry import RegistryClient, find_published
from gnomon.runtime.errors import UnknownModel
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer
from gnomon.server.hub import doctor
from gnomon.server.hub.settings import HubSettings
from gnomon.server.hub.state import open_blobs, open_database

__all__ = ["Tally", "kill_again_and_again", "main"]

_NAME = "bench"
_RUN_IN = 3

#: How much longer than a push the time is from which the moment of a kill is drawn.
_BEYOND = 1.2


@dataclass
class Tally:
    """What became of the rounds; `faults` should be empty."""

    database: str
    kills: int = 0
    hub: int = 0
    builder: int = 0
    absent: int = 0
    whole: int = 0
    seconds: float = 0.0
    faults: tuple[str, ...] = ()

    def __str__(self) -> str:
        return (
            f"{self.database}: {self.kills} kills ({self.hub} of the hub, {self.builder} of the "
            f"builder) in {self.seconds:.0f} s; the version was not there {self.absent} times and "
            f"whole {self.whole} times; {len(self.faults)} faults"
        )


class _Rounds:
    """The stage, and one round after the other."""

    def __init__(self, folder: Path, settings: HubSettings, seed: int) -> None:
        signer = Signer.generate()
        self._random = Random(seed)  # noqa: S311
        self._hub = HubProcess(settings)
        self._settings = settings
        self._builder = Builder(self._hub, folder / "builder", signer)
        self._packages = Packages(folder / "packages", signer)
        self._folder = folder
        self._version = 0
        self._horizon = max(self._measure() for _ in range(_RUN_IN)) * _BEYOND

    def close(self) -> None:
        """End what runs."""
        self._builder.kill()
        self._hub.kill()

    def play(self, tally: Tally) -> None:
        """Push a version, kill the hub or the builder, and look at what is left."""
        package = self._make()
        victim = "hub" if tally.kills % 2 else "builder"
        self._builder.start_push(package.path)
        time.sleep(self._random.uniform(0.0, self._horizon))
        if victim == "hub":
            self._hub.kill()
            self._builder.wait()
            self._hub.start()
        else:
            self._builder.kill()
        tally.kills += 1
        setattr(tally, victim, getattr(tally, victim) + 1)
        where = f"round {tally.kills}, {victim} killed: "
        tally.faults += tuple(where + fault for fault in self._faults())
        tally.faults += tuple(where + fault for fault in self._find_faults(package, tally))

    def _find_faults(self, package: Package, tally: Tally) -> list[str]:
        """Return what is wrong with the version, which is there afterwards."""
        faults = []
        if self._digest(package) is None:
            tally.absent += 1
        else:
            tally.whole += 1
            faults += self._pull(package)
        with RegistryClient(self._builder.settings) as registry:
            registry.push(package)
        if self._digest(package) != package.digest:
            faults.append(f"{package.reference} is not there after it was pushed again")
        return faults

    def _pull(self, package: Package) -> list[str]:
        with HubClient(self._hub.addresses.rest) as client:
            listed = client.get(f"models/{_NAME}/versions/{package.manifest.version}")["packages"]
        folder = self._folder / "pulled"
        with RegistryClient(self._builder.settings) as registry:
            pulled = registry.pull(find_published(listed, package.manifest.version, None), folder)
        shutil.rmtree(folder)
        return [] if pulled.digest == package.digest else [f"{package.reference} came back another"]

    def _digest(self, package: Package) -> str | None:
        """Return the digest under which the registry has a version, if it has it."""
        with HubClient(self._hub.addresses.rest) as client:
            try:
                found = client.get(f"models/{_NAME}/versions/{package.manifest.version}")
            except UnknownModel:
                return None
        (one,) = found["packages"]
        return str(one["digest"])

    def _faults(self) -> list[str]:
        database = open_database(self._settings)
        try:
            findings = doctor.examine(database, open_blobs(self._settings, database))
        finally:
            database.close()
        return [f"{one.check}: {fault}" for one in findings for fault in one.faults]

    def _make(self) -> Package:
        self._version += 1
        return self._packages.make(self._version)

    def _measure(self) -> float:
        """Return the seconds of an undisturbed push, its process included."""
        package = self._make()
        start = time.monotonic()
        self._builder.start_push(package.path)
        self._builder.wait()
        return time.monotonic() - start


def kill_again_and_again(
    settings: HubSettings,
    folder: Path,
    kills: int,
    seed: int,
    on_round: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Kill a hub or its clients many times, and check after each kill that nothing was lost.

    Args:
        settings: of the hub.
        folder: for packages and the builder's identity.
        kills: how many rounds.
        seed: of the moments of the kills.
        on_round: called with the counts after each round.
    """
    kind = "PostgreSQL" if settings.database_url else "SQLite"
    tally = Tally(kind)
    start = time.monotonic()
    rounds = _Rounds(folder, settings, seed)
    try:
        for _ in range(kills):
            rounds.play(tally)
            tally.seconds = time.monotonic() - start
            on_round(tally)
    finally:
        rounds.close()
    return tally


def main(arguments: Sequence[str] | None = None) -> int:
    """Play on SQLite and on PostgreSQL, or on one of them."""
    parser = argparse.ArgumentParser(prog="gnomon.bench.hub.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    kinds = ["sqlite", "postgresql"] if options.database == "both" else [options.database]
    tallies = []
    for kind in kinds:
        with ExitStack() as opened:
            folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
            settings = HubSettings(
                data_folder=folder / "hub", rest_port=0, enrolment_port=0, sync_port=0
            )
            if kind == "postgresql":
                url = opened.enter_context(postgres.running()).create_database("hub")
                settings = replace(settings, database_url=url)
            tallies.append(
                kill_again_and_again(settings, folder, options.kills, options.seed, _tell)
            )
    if options.json:
        print(json.dumps([asdict(tally) for tally in tallies], indent=2))
    else:
        print(*tallies, *(fault for tally in tallies for fault in tally.faults), sep="\n")
    return 1 if any(tally.faults for tally in tallies) else 0


def _tell(tally: Tally) -> None:
    if tally.kills % 20 == 0:
        print(tally, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

"""The story that the demo plays: eight acts on real flights, each of which checks what it shows."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from gnomon.client.registry import RegistryClient
from gnomon.demo.bad_rows import bad_rows
from gnomon.demo.cluster import DEVICES, SOURCES, Stage, wait_until
from gnomon.demo.flights import load_flights
from gnomon.demo.recipe import find_negative_row, train
from gnomon.demo.replay import Replay
from gnomon.demo.report import Narrator
from gnomon.demo.traffic import MODEL, World
from gnomon.pipeline.datasets.dataset import Dataset
from gnomon.runtime.errors import NotReady
from gnomon.runtime.packages.package import Package

BROKEN = "device-3"
#: What spring moves, everywhere.
SEASONAL = "temp"
FIRST_DAY = date(2013, 3, 1)
#: Version 2 is trained on what came before this day, so it may not answer earlier.
FIRST_DAY_OF_TWO = date(2013, 6, 1)
FIRST_DAY_OF_THREE = date(2013, 7, 1)
END = date(2013, 8, 1)


@dataclass(frozen=True, slots=True)
class Size:
    """How much of the data the demo plays: one flight in `thin`, and what its gates ask for."""

    name: str
    thin: int
    minimum_predictions: int
    minimum_labels: int


SIZES = {
    "full": Size("full", 1, 200, 150),
    "small": Size("small", 4, 60, 50),
}


class Story:
    """Plays the acts in order on a stage; `narrator` tells them and keeps the checks."""

    def __init__(self, folder: Path, *, size: str, seed: int, narrator: Narrator) -> None:
        self.stage = Stage(folder)
        self._size = SIZES[size]
        self._seed = seed
        self._narrator = narrator
        self._check = narrator.check
        self._dataset: Dataset
        self._world: World
        self._registry: RegistryClient
        self._packages: dict[str, Mapping[str, Package]] = {}

    def play(self, *, stay: bool = False) -> None:
        """Play all acts; the last one, which stops the nodes, only where they are not to stay."""
        acts: list[tuple[str, Callable[[], None]]] = [
            ("Train eta@1 on January and February, build signed packages", self._build),
            ("Start a hub, a server and three devices, each its own process", self._open),
            ("Replay March; refuse bad input by name", self._refuse_bad_rows),
            (f"The sensor of {BROKEN} breaks: miles become kilometres", self._break_sensor),
            ("The hub is killed while all go on, and started again", self._kill_hub),
            ("The season moves everyone; labels come late", self._wait_for_season),
            ("Roll out eta@2, trained on later months: 10 % → 50 % → 100 %", self._roll_out_two),
            ("Someone pushes a bad eta@3", self._roll_out_three),
            ("Count", self._count),
        ]
        if not stay:
            acts.append(("Stop", self._stop))
        for number, (title, act) in enumerate(acts, start=1):
            with self._narrator.act(number, title):
                act()

    def say_where_to_look(self) -> None:
        """Tell where the packages lie and, where the hub is up, what to open."""
        self._narrator.links(
            {
                "web page": self.stage.client.url,
                "gRPC, Open Inference Protocol": self.stage.server_address,
                "logs and state": str(self.stage.folder),
                "a package": f"gnomon package inspect {self._packages['2']['onnx'].path}",
            }
        )

    def close(self) -> None:
        """End all processes."""
        self.stage.close()

    def _build(self) -> None:
        self._narrator.doing("reading 336,776 flights and their weather")
        self._dataset = load_flights()
        self._narrator.fact(f"{len(self._dataset):,} flights, {self._dataset.fingerprint}")
        self._build_version("1")
        replay = Replay.prepare(
            self._dataset, FIRST_DAY, END, sources=len(SOURCES), thin=self._size.thin
        )
        replay.write(self.stage.flights)
        self._world = World(self.stage, replay, FIRST_DAY, self._narrator)

    def _build_version(self, version: str) -> None:
        """Train a version and build its packages in both formats."""
        self._narrator.doing(f"training {MODEL}@{version}")
        trained = train(self._dataset, version, size=self._size.name, seed=self._seed)
        self._narrator.doing(f"profiling, recording golden samples, signing {MODEL}@{version}")
        built = trained.build(self.stage.folder / "packages", self.stage.signer)
        self._narrator.doing(f"trying {MODEL}@{version} in a clean folder, attesting the outcome")
        packages = {form: self.stage.try_out(package) for form, package in built.items()}
        for form, package in packages.items():
            error = trained.metrics[form]["mae"]
            self._narrator.fact(
                f"{MODEL}@{version} {form}: mean error {error:.1f} minutes on days it has not "
                f"seen; digest {package.digest[:12]}"
            )
        self._packages[version] = packages

    def _open(self) -> None:
        self._narrator.doing("starting the hub")
        self.stage.start_hub()
        self._registry = self.stage.enrol_builder()
        self.stage.push(self._registry, self._packages["1"].values())
        self.stage.client.post("placements", {"model": MODEL, "version": "1"})
        self._narrator.doing("starting the nodes; they enrol, pull and check eta@1")
        self.stage.start_nodes()
        nodes = {node["name"]: node for node in self.stage.client.get("nodes")}
        self._check(
            all(nodes[name]["reported_generation"] > 0 for name in SOURCES),
            f"a server and {len(DEVICES)} devices have checked eta@1 and taken it into service",
        )

    def _refuse_bad_rows(self) -> None:
        self._world.pass_days(3)
        negative = find_negative_row(self._packages["1"]["tflite"])
        for node, caller in self.stage.callers.items():
            has_network = DEVICES.get(node) == "tflite"
            bad = bad_rows(self._world.good_row(), negative if has_network else None)
            rows = {one.kind: one.row for one in bad}
            answers = caller.ask({"do": "ask", "at": self._world.now - 1, "rows": rows})["answers"]
            self._world.tallies.add_answers(node, answers)
            wrong = [
                f"{one.kind}: {answer['outcome']}, {answer['error']}"
                for one, answer in zip(bad, answers, strict=True)
                if answer["outcome"] != one.outcome or one.names not in answer["error"]
            ]
            what = f"{node} refuses {len(bad)} kinds of bad input, naming field, value and rule"
            self._check(not wrong, what, wrong)
            if node == "device-1":
                for one, answer in zip(bad, answers, strict=True):
                    self._narrator.quote(one.kind, answer["error"])

    def _break_sensor(self) -> None:
        since = self._world.day
        alerts: list[dict[str, Any]] = []
        while not alerts and self._world.day < since + timedelta(days=12):
            self._world.pass_days(2, broken=BROKEN)
            alerts = self._world.alerts("source_moved", since=since)
        self._check(
            any(one["source"] == BROKEN and one["field"] == "distance" for one in alerts),
            f"the monitor says that {BROKEN} alone has left its peers, within "
            f"{(self._world.day - since).days} days",
        )
        accused = [one for one in alerts if one["source"] != BROKEN]
        accused += self._world.alerts("all_moved", since=since)
        wrong = [one["text"] for one in accused]
        self._check(not wrong, "no other device and no other cause is accused", wrong)
        for one in alerts:
            self._narrator.quote("alert", one["text"])

    def _kill_hub(self) -> None:
        answered = self._world.pass_days(2, meanwhile=self.stage.kill_hub)
        answered += self._world.pass_days(2)
        self._narrator.fact("four days of flights while the hub was gone")
        self.stage.start_hub()
        self._world.settle()
        self._check(
            answered["asked"] > 0 and answered["asked"] == answered["answered"],
            f"no caller noticed: {answered['answered']:,} of {answered['asked']:,} flights were "
            "answered while the hub was gone",
        )

    def _wait_for_season(self) -> None:
        since = self._world.day
        alerts: list[dict[str, Any]] = []
        while not any(one["field"] == SEASONAL for one in alerts):
            days = min(7, (FIRST_DAY_OF_TWO - self._world.day).days)
            if days <= 0:
                break
            self._world.pass_days(days)
            alerts = self._world.alerts("all_moved", since=since)
        found = any(one["field"] == SEASONAL for one in alerts)
        self._check(found, f"the monitor says that the world has moved, by {self._world.day}")
        for one in alerts:
            self._narrator.quote("alert", one["text"])
        self._world.pass_days((FIRST_DAY_OF_TWO - self._world.day).days)
        losses = self.stage.client.get(f"models/{MODEL}/losses")
        self._check(
            sum(one["count"] for one in losses) > 0,
            f"late labels joined to predictions over {len({one['day'] for one in losses})} days",
        )

    def _roll_out_two(self) -> None:
        self._build_version("2")
        rollout = self._roll_out("2", until=FIRST_DAY_OF_THREE)
        for step in rollout["steps"]:
            self._narrator.fact(f"{step['weight'] / 10:.0f} %: {step['verdict']}")
        self._check(rollout["state"] == "completed", "eta@2 went to 100 % step by step")

    def _roll_out_three(self) -> None:
        self._world.pass_days((FIRST_DAY_OF_THREE - self._world.day).days)
        self._build_version("3")
        before = self._world.tallies.total("failed")
        rollout = self._roll_out("3", until=END)
        failed = self._world.tallies.total("failed") - before
        self._check(rollout["state"] == "rolled_back", "its gate stopped eta@3")
        self._narrator.quote("gate", rollout["reason"])
        self._check(failed == 0, f"no request failed on the way ({failed})")
        answered_by = self._world.pass_days(1)
        self._check(
            answered_by["version 2"] == answered_by["answered"],
            "the old version is back everywhere",
        )

    def _count(self) -> None:
        self._narrator.doing("waiting for the last telemetry")
        differences = self._differences()
        with contextlib.suppress(NotReady):
            wait_until(lambda: not self._differences(), "the hub to know all that was asked for")
            differences = []
        asked, answered, refused, failed = (
            self._world.tallies.total(what) for what in ("asked", "answered", "refused", "failed")
        )
        what = (
            f"predictions made = predictions the monitor knows: {asked:,} ({answered:,} answered, "
            f"{refused:,} refused, {failed:,} failed)"
        )
        self._check(not differences, what, self._differences())
        chain = self.stage.client.get("audit/verify")
        self._check(chain["intact"], f"the audit chain of {chain['records']} records is unbroken")

    def _differences(self) -> list[str]:
        return self._world.tallies.differences(self.stage.client.get("counts", model=MODEL))

    def _stop(self) -> None:
        codes = self.stage.stop_nodes()
        self._check(not any(codes.values()), f"every process ended in good order: {codes}")
        differences = self._differences()
        self._check(not differences, "and nothing was counted twice on the way out", differences)

    def _roll_out(self, version: str, *, until: date) -> dict[str, Any]:
        """Push a version, begin its rollout, and replay days until it has ended."""
        self.stage.push(self._registry, self._packages[version].values())
        body = {
            "model": MODEL,
            "version": version,
            "gates": {
                "minimum_predictions": self._size.minimum_predictions,
                "minimum_labels": self._size.minimum_labels,
            },
        }
        rollout: dict[str, Any] = self.stage.client.post("rollouts", body)
        while rollout["state"] in ("pending", "running") and self._world.day < until:
            self._world.pass_days(1)
            self._world.settle()
            rollout = self.stage.client.get(f"rollouts/{rollout['id']}")
        return rollout

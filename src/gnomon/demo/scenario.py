"""The demo's scenario: steps on real flights, each of which checks what it shows."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from gnomon.client.registry import RegistryClient
from gnomon.demo.bad_rows import bad_rows
from gnomon.demo.cluster import DEVICES, SOURCES, Cluster, wait_until
from gnomon.demo.flights import load_flights
from gnomon.demo.recipe import find_negative_row, train
from gnomon.demo.replay import Replay
from gnomon.demo.report import DemoReport
from gnomon.demo.traffic import MODEL, Traffic
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
class DemoSize:
    """How much the demo replays: one flight in `thin`; and the minimum counts of its gates."""

    name: str
    thin: int
    minimum_predictions: int
    minimum_labels: int


SIZES = {
    "full": DemoSize("full", 1, 200, 150),
    "small": DemoSize("small", 4, 60, 50),
}


class Scenario:
    """Runs the steps in order on a cluster; `report` prints them and keeps the checks."""

    def __init__(self, folder: Path, *, size: str, seed: int, report: DemoReport) -> None:
        self.cluster = Cluster(folder)
        self._size = SIZES[size]
        self._seed = seed
        self._report = report
        self._check = report.check
        self._dataset: Dataset
        self._traffic: Traffic
        self._registry: RegistryClient
        self._packages: dict[str, Mapping[str, Package]] = {}

    def run(self, *, stay: bool = False) -> None:
        """Run all steps; the last one, which stops the nodes, only if they are not to stay."""
        steps: list[tuple[str, Callable[[], None]]] = [
            ("Train eta@1 on January and February, build signed packages", self._build),
            ("Start a hub, a server and three devices, each its own process", self._open),
            ("Replay March; refuse bad input by name", self._refuse_bad_rows),
            (f"The sensor of {BROKEN} breaks: miles become kilometres", self._break_sensor),
            ("The hub is killed and started again while the nodes continue", self._kill_hub),
            ("The season moves all sources; labels arrive late", self._wait_for_season),
            ("Roll out eta@2, trained on later months: 10 % → 50 % → 100 %", self._roll_out_two),
            ("Someone pushes a bad eta@3", self._roll_out_three),
            ("Count", self._count),
        ]
        if not stay:
            steps.append(("Stop", self._stop))
        for number, (title, step) in enumerate(steps, start=1):
            with self._report.step(number, title):
                step()

    def show_links(self) -> None:
        """Print the folders of packages and the addresses of hub and server."""
        self._report.links(
            {
                "web page": f"{self.cluster.client.url}{self._sign_in_path()}",
                "gRPC, Open Inference Protocol": self.cluster.server_address,
                "logs and state": str(self.cluster.folder),
                "a package": f"gnomon package inspect {self._packages['2']['onnx'].path}",
            }
        )

    def _sign_in_path(self) -> str:
        """Return the path of a link that signs in to the hub's page once."""
        return str(self.cluster.client.post("sign-in-links")["path"])

    def close(self) -> None:
        """End all processes."""
        self.cluster.close()

    def _build(self) -> None:
        self._report.show_progress("reading 336,776 flights and their weather")
        self._dataset = load_flights()
        self._report.fact(f"{len(self._dataset):,} flights, {self._dataset.fingerprint}")
        self._build_version("1")
        replay = Replay.prepare(
            self._dataset, FIRST_DAY, END, sources=len(SOURCES), thin=self._size.thin
        )
        replay.write(self.cluster.flights)
        self._traffic = Traffic(self.cluster, replay, FIRST_DAY, self._report)

    def _build_version(self, version: str) -> None:
        """Train a version and build its packages in both formats."""
        self._report.show_progress(f"training {MODEL}@{version}")
        trained = train(self._dataset, version, size=self._size.name, seed=self._seed)
        self._report.show_progress(
            f"profiling, recording golden samples, signing {MODEL}@{version}"
        )
        built = trained.build(self.cluster.folder / "packages", self.cluster.signer)
        self._report.show_progress(
            f"smoke-testing {MODEL}@{version} in an empty folder, attesting the result"
        )
        packages = {form: self.cluster.smoke_test(package) for form, package in built.items()}
        for form, package in packages.items():
            error = trained.metrics[form]["mae"]
            self._report.fact(
                f"{MODEL}@{version} {form}: mean error {error:.1f} minutes on days it has not "
                f"seen; digest {package.digest[:12]}"
            )
        self._packages[version] = packages

    def _open(self) -> None:
        self._report.show_progress("starting the hub")
        self.cluster.start_hub()
        self._registry = self.cluster.enrol_builder()
        self.cluster.push(self._registry, self._packages["1"].values())
        self.cluster.client.post("placements", {"model": MODEL, "version": "1"})
        self._report.show_progress("starting the nodes; they enrol, pull and check eta@1")
        self.cluster.start_nodes()
        nodes = {node["name"]: node for node in self.cluster.client.get("nodes")}
        self._check(
            all(nodes[name]["reported_generation"] > 0 for name in SOURCES),
            f"a server and {len(DEVICES)} devices have verified eta@1 and put it into service",
        )

    def _refuse_bad_rows(self) -> None:
        self._traffic.replay_days(3)
        negative = find_negative_row(self._packages["1"]["tflite"])
        for node, caller in self.cluster.callers.items():
            has_network = DEVICES.get(node) == "tflite"
            bad = bad_rows(self._traffic.good_row(), negative if has_network else None)
            rows = {one.kind: one.row for one in bad}
            answers = caller.ask({"do": "ask", "at": self._traffic.now - 1, "rows": rows})[
                "answers"
            ]
            self._traffic.tallies.add_answers(node, answers)
            wrong = [
                f"{one.kind}: {answer['outcome']}, {answer['error']}"
                for one, answer in zip(bad, answers, strict=True)
                if answer["outcome"] != one.outcome or one.names not in answer["error"]
            ]
            what = f"{node} refuses {len(bad)} kinds of bad input, naming field, value and rule"
            self._check(not wrong, what, wrong)
            if node == "device-1":
                for one, answer in zip(bad, answers, strict=True):
                    self._report.quote(one.kind, answer["error"])

    def _break_sensor(self) -> None:
        since = self._traffic.day
        alerts: list[dict[str, Any]] = []
        while not alerts and self._traffic.day < since + timedelta(days=12):
            self._traffic.replay_days(2, broken=BROKEN)
            alerts = self._traffic.alerts("source_moved", since=since)
        self._check(
            any(one["source"] == BROKEN and one["field"] == "distance" for one in alerts),
            f"the monitor reports that {BROKEN} alone differs from its peers, within "
            f"{(self._traffic.day - since).days} days",
        )
        accused = [one for one in alerts if one["source"] != BROKEN]
        accused += self._traffic.alerts("all_moved", since=since)
        wrong = [one["text"] for one in accused]
        self._check(not wrong, "no other device and no other cause is reported", wrong)
        for one in alerts:
            self._report.quote("alert", one["text"])

    def _kill_hub(self) -> None:
        answered = self._traffic.replay_days(2, meanwhile=self.cluster.kill_hub)
        answered += self._traffic.replay_days(2)
        self._report.fact("four days of flights while the hub was down")
        self.cluster.start_hub()
        self._traffic.settle()
        self._check(
            answered["asked"] > 0 and answered["asked"] == answered["answered"],
            f"no call failed: {answered['answered']:,} of {answered['asked']:,} flights were "
            "answered while the hub was down",
        )

    def _wait_for_season(self) -> None:
        since = self._traffic.day
        alerts: list[dict[str, Any]] = []
        while not any(one["field"] == SEASONAL for one in alerts):
            days = min(7, (FIRST_DAY_OF_TWO - self._traffic.day).days)
            if days <= 0:
                break
            self._traffic.replay_days(days)
            alerts = self._traffic.alerts("all_moved", since=since)
        found = any(one["field"] == SEASONAL for one in alerts)
        self._check(found, f"the monitor reports that all have moved, by {self._traffic.day}")
        for one in alerts:
            self._report.quote("alert", one["text"])
        self._traffic.replay_days((FIRST_DAY_OF_TWO - self._traffic.day).days)
        losses = self.cluster.client.get(f"models/{MODEL}/losses")
        self._check(
            sum(one["count"] for one in losses) > 0,
            f"late labels joined to predictions over {len({one['day'] for one in losses})} days",
        )

    def _roll_out_two(self) -> None:
        self._build_version("2")
        rollout = self._roll_out("2", until=FIRST_DAY_OF_THREE)
        for step in rollout["steps"]:
            self._report.fact(f"{step['weight'] / 10:.0f} %: {step['verdict']}")
        self._check(rollout["state"] == "completed", "eta@2 went to 100 % step by step")

    def _roll_out_three(self) -> None:
        self._traffic.replay_days((FIRST_DAY_OF_THREE - self._traffic.day).days)
        self._build_version("3")
        before = self._traffic.tallies.total("failed")
        rollout = self._roll_out("3", until=END)
        failed = self._traffic.tallies.total("failed") - before
        self._check(rollout["state"] == "rolled_back", "its gate stopped eta@3")
        self._report.quote("gate", rollout["reason"])
        self._check(failed == 0, f"no request failed on the way ({failed})")
        answered_by = self._traffic.replay_days(1)
        self._check(
            answered_by["version 2"] == answered_by["answered"],
            "the old version is in service everywhere",
        )

    def _count(self) -> None:
        self._report.show_progress("waiting for the last telemetry")
        differences = self._differences()
        with contextlib.suppress(NotReady):
            wait_until(lambda: not self._differences(), "the hub to count all requests")
            differences = []
        asked, answered, refused, failed = (
            self._traffic.tallies.total(what) for what in ("asked", "answered", "refused", "failed")
        )
        what = (
            f"predictions made = predictions monitored: {asked:,} ({answered:,} answered, "
            f"{refused:,} refused, {failed:,} failed)"
        )
        self._check(not differences, what, self._differences())
        chain = self.cluster.client.get("audit/verify")
        self._check(chain["intact"], f"the audit chain of {chain['records']} records is unbroken")

    def _differences(self) -> list[str]:
        return self._traffic.tallies.differences(self.cluster.client.get("counts", model=MODEL))

    def _stop(self) -> None:
        codes = self.cluster.stop_nodes()
        self._check(not any(codes.values()), f"every process exited cleanly: {codes}")
        differences = self._differences()
        self._check(not differences, "nothing was counted twice during shutdown", differences)

    def _roll_out(self, version: str, *, until: date) -> dict[str, Any]:
        """Push a version, begin its rollout, and replay days until it has ended."""
        self.cluster.push(self._registry, self._packages[version].values())
        body = {
            "model": MODEL,
            "version": version,
            "gates": {
                "minimum_predictions": self._size.minimum_predictions,
                "minimum_labels": self._size.minimum_labels,
            },
        }
        rollout: dict[str, Any] = self.cluster.client.post("rollouts", body)
        while rollout["state"] in ("pending", "running") and self._traffic.day < until:
            self._traffic.replay_days(1)
            self._traffic.settle()
            rollout = self.cluster.client.get(f"rollouts/{rollout['id']}")
        return rollout

"""The demo's traffic: days are replayed, flights predicted, and labels sent later."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from gnomon.demo.cluster import DEVICES, SOURCES, Cluster, wait_until
from gnomon.demo.replay import DAY_SECONDS, Replay
from gnomon.demo.report import DemoReport
from gnomon.demo.tallies import Tallies

MODEL = "eta"

Label = tuple[str, float, float]


class Traffic:
    """Replays days on a cluster; `day` is the first that has not been replayed."""

    def __init__(self, cluster: Cluster, replay: Replay, start: date, report: DemoReport) -> None:
        self.day = start
        self.tallies = Tallies(SOURCES)
        self._cluster = cluster
        self._replay = replay
        self._report = report
        self._labelled = replay.flights.labelled()
        self._labels_sent = 0

    @property
    def now(self) -> float:
        """Return the midnight before `day`, epoch seconds."""
        return datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC).timestamp()

    def good_row(self) -> Mapping[str, Any]:
        """Return the row of a flight that satisfies the contract."""
        _, _, row = next(self._replay.flights.rows())
        return row

    def replay_days(
        self, days: int, *, broken: str | None = None, meanwhile: Callable[[], None] | None = None
    ) -> Counter[str]:
        """Predict the flights of some days at all nodes at once; return the counts by outcome.

        `broken` is the device whose distances are in kilometres; `meanwhile` is called while the
        callers are at work. Then the labels that became known in these days are sent.
        """
        if days <= 0:
            return Counter()
        last = self.day + timedelta(days=days - 1)
        self._report.show_progress(f"replaying {self.day} to {last}")
        callers = self._cluster.callers
        for node, caller in callers.items():
            caller.tell(
                {
                    "do": "replay",
                    "first": str(self.day),
                    "last": str(last),
                    "broken_sensor": node == broken,
                }
            )
        if meanwhile is not None:
            meanwhile()
        total: Counter[str] = Counter()
        for node, caller in callers.items():
            answer = caller.answer(300)
            self.tallies.add(node, answer["tally"])
            total.update(answer["tally"])
            if answer["first_error"]:
                self._report.quote(node, answer["first_error"])
        self.day = last + timedelta(days=1)
        if self._cluster["hub"].running:
            self._tell_labels()
        return total

    def settle(self) -> None:
        """Wait until the monitor has evaluated every day whose successor has been replayed."""
        last_day = self.day - timedelta(days=2)
        wait_until(
            lambda: self._evaluated_until() >= last_day, f"the monitor to evaluate {last_day}"
        )

    def alerts(self, kind: str, *, since: date) -> list[dict[str, Any]]:
        """Return the alerts of a kind that were raised by days from `since` on."""
        self.settle()
        start = datetime(since.year, since.month, since.day, tzinfo=UTC).timestamp() * 1000
        found = self._cluster.client.get("alerts", model=MODEL)
        return [
            alert
            for alert in found
            if alert["kind"] == kind and alert["evidence"]["seen_in"]["started_at"] >= start
        ]

    def _evaluated_until(self) -> date:
        """Return the last day that the monitor has evaluated."""
        status = self._cluster.client.get(f"models/{MODEL}/drift")["status"]
        last_day = status["judged_to"]
        if last_day is None:
            return date.min
        return datetime.fromtimestamp(last_day / 1000 - DAY_SECONDS, UTC).date()

    def _tell_labels(self) -> None:
        """Send the labels known by now: devices through their agents, others to the hub."""
        until = int((self._labelled.label_at <= self.now).sum())
        due = self._labelled.take(slice(self._labels_sent, until))
        self._labels_sent = until
        by_source: Mapping[int, list[Label]] = {number: [] for number in range(len(SOURCES))}
        columns = (due.sources, due.request_ids, due.labels, due.label_at)
        for source, request_id, value, at in zip(*(c.tolist() for c in columns), strict=True):
            by_source[source].append((request_id, value, at))
        for number, node in enumerate(SOURCES):
            if node in DEVICES:
                self._cluster[node].ask({"do": "label", "labels": by_source[number]})
            else:
                self._post(by_source[number])

    def _post(self, labels: list[Label]) -> None:
        body = {
            "model": MODEL,
            "labels": [
                {"request_id": request_id, "value": value, "at": int(at * 1000)}
                for request_id, value, at in labels
            ],
        }
        self._cluster.client.post("labels", body)

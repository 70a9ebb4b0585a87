"""Evaluation of one closed interval: distances for people, and conditions for alerts."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gnomon.core.detectors.alarm import Alarm
from gnomon.core.detectors.fleet import FleetDetector
from gnomon.core.distances.psi import PSEUDO_COUNT, psi
from gnomon.core.reference import FieldReference
from gnomon.server.hub.monitoring.alerts import Condition
from gnomon.server.hub.monitoring.intervals import MonitorSettings
from gnomon.server.hub.monitoring.missing_values import missing_conditions
from gnomon.server.hub.monitoring.progress import Interval
from gnomon.server.hub.monitoring.watched_fields import (
    FieldTotals,
    SourceTotals,
    WatchedFields,
    pool,
)
from gnomon.server.hub.store.clock import DAY_MS, calendar

#: Distances are kept source by source up to so many sources; beyond, for all of them together.
MOST_SOURCES = 32

#: Kinds of alerts: one source has left its peers; all sources have left the reference; the contract
#: refuses rows, of one source or of all, which is no change of what the model sees.
SOURCE_MOVED = "source_moved"
ALL_MOVED = "all_moved"
ROWS_REFUSED = "rows_refused"


Totals = Mapping[str, SourceTotals]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The results for one interval."""

    distances: list[dict[str, Any]] = field(default_factory=list)  # rows of `drift`
    conditions: list[Condition] = field(default_factory=list)


class Evaluator:
    """Evaluates the intervals of one model, in order, against one version's reference."""

    def __init__(
        self, model: str, version: str, fields: WatchedFields, settings: MonitorSettings
    ) -> None:
        self._model = model
        self._version = version
        self._fields = fields
        self._level = 1.0 / settings.windows_per_false_alarm
        self._detector = FleetDetector(
            fields.references,
            pairs=[one.reference for one in fields.pairs],
            windows_per_false_alarm=settings.windows_per_false_alarm,
            tolerance=settings.tolerance,
            block_rows=fields.block_rows,
        )

    def restore(self, state: bytes) -> None:
        """Continue from `state`; raises `StateMismatch` if another detector wrote it."""
        self._detector.restore(state)

    def state(self) -> bytes:
        """Return what `restore` goes on from."""
        return self._detector.state()

    def evaluate(self, interval: Interval, totals: Totals) -> Evaluation:
        """Show the detectors one interval: for each source, what it has counted."""
        found = self._detector.update(
            {source: [one.cells for one in of.fields] for source, of in totals.items()},
            {source: list(of.pairs) for source, of in totals.items()},
            {source: [one.moments for one in of.fields] for source, of in totals.items()},
        )
        together = pool(totals, self._fields)
        result = Evaluation()
        result.distances.extend(self._distances(interval, "", together.fields))
        if len(totals) <= MOST_SOURCES:
            for source, of_source in totals.items():
                result.distances.extend(self._distances(interval, source, of_source.fields))
        suspects = {name: list(sources) for name, sources in found.excluded.items()}
        for source, alarm in found.outliers:
            result.conditions.append(self._outlier(interval, source, alarm, totals, suspects))
        for alarm in found.fleet_wide:
            found_in = (sorted(totals), together.fields)
            result.conditions.append(self._fleet_wide(interval, alarm, found_in, suspects))
        result.conditions.extend(
            missing_conditions(
                self._model, self._version, self._fields.limits, interval, totals, self._level
            )
        )
        return result

    def _distances(
        self, interval: Interval, source: str, totals: Sequence[FieldTotals]
    ) -> Iterator[dict[str, Any]]:
        for watched, field_totals in zip(self._fields.fields, totals, strict=True):
            reference, cells = watched.reference, watched.accepted(field_totals.cells)
            rows = int(cells.sum())
            if rows:
                yield {
                    "model": self._model,
                    "ended_at": interval[0],
                    "started_at": interval[1],
                    "source": source,
                    "field": reference.name,
                    "version": self._version,
                    "rows": rows,
                    "psi": psi(reference.counts, cells),
                    "chance": _chance(reference, rows),
                }

    def _outlier(
        self,
        interval: Interval,
        source: str,
        alarm: Alarm,
        totals: Totals,
        suspects: Mapping[str, list[str]],
    ) -> Condition:
        mean, mean_of_peers = self._means_of(source, alarm, totals)
        means = _means(mean, "here", mean_of_peers, "at its peers")
        kind, refusal = self._kind(alarm, SOURCE_MOVED)
        text = (
            f"{source} alone: {alarm.description}{refusal or means}, since about "
            f"{_since(interval, alarm)}"
        )
        evidence = _evidence(interval, alarm) | {
            "mean": mean,
            "mean_of_peers": mean_of_peers,
            "suspects": suspects,
        }
        return Condition(self._model, kind, source, alarm.field, self._version, text, evidence)

    def _means_of(
        self, source: str, alarm: Alarm, totals: Totals
    ) -> tuple[float | None, float | None]:
        """Return the mean of a source and of its peers; none for a pair."""
        index = self._index(alarm)
        if index is None:
            return None, None
        peers = self._fields.empty().fields[index]
        for name, of_source in totals.items():
            if name != source:
                peers.add(of_source.fields[index])
        return totals[source].fields[index].mean, peers.mean

    def _fleet_wide(
        self,
        interval: Interval,
        alarm: Alarm,
        found_in: tuple[Sequence[str], Sequence[FieldTotals]],
        suspects: Mapping[str, list[str]],
    ) -> Condition:
        sources, together = found_in
        index = self._index(alarm)
        mean = None if index is None else together[index].mean
        before = None if index is None or mean is None else self._fields.references[index].mean
        means = _means(mean, "now", before, "in the training data")
        kind, refusal = self._kind(alarm, ALL_MOVED)
        who = "all sources" if len(sources) > 1 else f"{sources[0]}, the only source"
        text = (
            f"{who}: {alarm.description}{refusal or means}, since about {_since(interval, alarm)}"
        )
        evidence = _evidence(interval, alarm) | {
            "mean": mean,
            "mean_of_reference": before,
            "sources": len(sources),
            "suspects": suspects,
        }
        return Condition(self._model, kind, "", alarm.field, self._version, text, evidence)

    def _kind(self, alarm: Alarm, moved: str) -> tuple[str, str]:
        """Return the alert's kind, and what is said of rows that are refused."""
        index = self._index(alarm)
        if index is None or not self._fields.fields[index].means_refusal(alarm.kind):
            return moved, ""
        return ROWS_REFUSED, "; the contract refuses such rows, so the model does not see them"

    def _index(self, alarm: Alarm) -> int | None:
        """Return the place of the field that an alarm is about; none for a pair."""
        names = [one.name for one in self._fields.references]
        return names.index(alarm.field) if alarm.field in names else None


def _evidence(interval: Interval, alarm: Alarm) -> dict[str, Any]:
    end, start = interval
    return {
        "change": alarm.kind.value,
        "distance": alarm.distance,
        "unit": alarm.unit,
        "log_evidence": alarm.evidence,
        "log_threshold": alarm.threshold,
        "intervals": alarm.since,
        "since": start - (alarm.since - 1) * (end - start),
        "seen_in": {"started_at": start, "ended_at": end},
    }


def _since(interval: Interval, alarm: Alarm) -> str:
    end, start = interval
    length = end - start
    moment = calendar(start - (alarm.since - 1) * length)
    return f"{moment:%Y-%m-%d}" if length >= DAY_MS else f"{moment:%Y-%m-%d %H:%M} UTC"


def _means(mine: float | None, here: str, theirs: float | None, there: str) -> str:
    if mine is None or theirs is None:
        return ""
    return f" (mean {mine:,.4g} {here}, {theirs:,.4g} {there})"


def _chance(reference: FieldReference, rows: int) -> float:
    """Return the PSI that so few rows have by chance alone; see `gnomon.core.distances.psi`.

    A cell that is empty on both sides adds what the pseudo-counts make of it.
    """
    used = sum(1 for count in reference.counts if count)
    here = PSEUDO_COUNT / (rows + PSEUDO_COUNT * reference.cells)
    there = PSEUDO_COUNT / (reference.rows + PSEUDO_COUNT * reference.cells)
    empty = (reference.cells - used) * (here - there) * math.log(here / there)
    return max(0, used - 1) * (1.0 / rows + 1.0 / max(1, reference.rows)) + empty

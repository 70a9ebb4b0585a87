"""The log of runs: an append-only file of JSON lines, each durable before the build continues.

An incomplete line after a crash is ignored with a warning; a run without an end was interrupted.
"""

import os
from pathlib import Path
from typing import Literal

import msgspec

from gnomon.pipeline.steps.record import PipelineRun, RunState, StepRecord
from gnomon.runtime.decoding import UNDECODABLE
from gnomon.runtime.ids import now_ms

__all__ = ["RunLog"]

_FILE = "runs.jsonl"


class _Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    run: str
    at: int
    event: Literal["started", "step", "ended", "sent"]
    record: PipelineRun | None = None
    step: StepRecord | None = None
    hub: str = ""


class RunLog:
    """The runs of one state folder; a writer holds the folder's lock."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / _FILE
        #: How many lines could not be read.
        self.damaged_lines = 0

    def start(self, record: PipelineRun) -> None:
        """Record that a run has begun."""
        self._append(_Line(run=record.id, at=record.started_at, event="started", record=record))

    def add_step(self, run: str, step: StepRecord) -> None:
        """Record the result of one of its steps."""
        self._append(_Line(run=run, at=now_ms(), event="step", step=step))

    def end(self, record: PipelineRun) -> None:
        """Record how a run ended; this is its complete record."""
        ended_at = record.ended_at or now_ms()
        self._append(_Line(run=record.id, at=ended_at, event="ended", record=record))

    def mark_sent(self, run: str, hub: str) -> None:
        """Record that a hub has a run's record."""
        self._append(_Line(run=run, at=now_ms(), event="sent", hub=hub))

    def close_interrupted(self) -> list[PipelineRun]:
        """Record the end of all runs that have none, since their process is gone. Return them."""
        left = [one for one in self.runs() if one.state is RunState.RUNNING]
        closed = []
        for record in left:
            ended = msgspec.structs.replace(
                record,
                state=RunState.INTERRUPTED,
                ended_at=self._last_seen(record.id),
                error="its process ended before it did",
            )
            self.end(ended)
            closed.append(ended)
        return closed

    def runs(self) -> list[PipelineRun]:
        """Return all runs, oldest first; one without an end as far as it is known."""
        found: dict[str, PipelineRun] = {}
        for line in self._lines():
            if line.record is not None:
                found[line.run] = line.record
            elif line.step is not None and line.run in found:
                known = found[line.run]
                found[line.run] = msgspec.structs.replace(known, steps=(*known.steps, line.step))
        return list(found.values())

    def unsent(self, hub: str) -> list[PipelineRun]:
        """Return the runs that have ended and that a hub does not have yet, oldest first."""
        sent = {line.run for line in self._lines() if line.event == "sent" and line.hub == hub}
        return [
            one for one in self.runs() if one.id not in sent and one.state is not RunState.RUNNING
        ]

    def _last_seen(self, run: str) -> int:
        return max(line.at for line in self._lines() if line.run == run)

    def _lines(self) -> list[_Line]:
        try:
            written = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        lines = []
        self.damaged_lines = 0
        for line in filter(None, written):
            try:
                lines.append(msgspec.json.decode(line, type=_Line))
            except UNDECODABLE:
                self.damaged_lines += 1
        return lines

    def _append(self, line: _Line) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            cut = b""
            if size:
                file.seek(size - 1)
                # A crash may have left half a line; the next record starts on a line of its own.
                cut = b"" if file.read(1) == b"\n" else b"\n"
            file.write(cut + msgspec.json.encode(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())

"""A load test: rows, single calls, runs until they agree, and the verdict."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gnomon.bench.load.answers import AnswerCheck, read_golden
from gnomon.bench.load.machine import MachineWatch, machine_facts
from gnomon.bench.load.model_client import ModelClient
from gnomon.bench.load.requests import encode_request, wire_answer, wire_request
from gnomon.bench.load.results import Outcome, RunResult, merge_runs
from gnomon.bench.load.rows import Row, make_rows, read_rows
from gnomon.bench.load.run import RunInterrupted, WireRow, run_once
from gnomon.bench.load.settings import LoadSettings
from gnomon.bench.load.target import LoadTarget
from gnomon.bench.load.verdict import Verdict, agree, void_reason
from gnomon.runtime.errors import ConfigurationError

__all__ = ["LoadTest", "Measured", "prepare", "run_load"]

#: Rows that are made if none are given.
ROWS = 64
#: Bytes of a prefix that gRPC puts before each message.
PREFIX = 5


@dataclass(frozen=True)
class LoadTest:
    """A prepared load test: the rows as they are sent, and what their answers should be."""

    target: LoadTarget
    model: str
    rows: Sequence[WireRow]
    check: AnswerCheck
    #: What single calls before the runs found wrong.
    faults: Sequence[str]
    origin: str


@dataclass
class Measured:
    """All runs of a load test. `kept` are the last ones that are not void; figures are theirs."""

    test: LoadTest
    settings: LoadSettings
    runs: list[RunResult] = field(default_factory=list)
    void: list[str] = field(default_factory=list)
    kept: list[RunResult] = field(default_factory=list)
    was_interrupted: bool = False
    is_stable: bool = False
    machine: dict[str, Any] = field(default_factory=dict)

    @property
    def total(self) -> RunResult | None:
        """Return the kept runs as one; without any, all of them; None without runs."""
        runs = self.kept or self.runs
        return merge_runs(runs, at_once=False) if runs else None

    @property
    def wrong(self) -> list[str]:
        """Return what was found wrong with answers that are held against golden outputs."""
        if not self.test.check.is_golden:
            return []
        return [*self.test.faults, *self.differences()]

    def differences(self) -> list[str]:
        """Return what is different in the kept answers that were not the expected bytes."""
        prefix = PREFIX if self.test.target.is_grpc else 0
        faults = (
            self.test.check.fault(row, body[prefix:]) for run in self.runs for row, body in run.kept
        )
        return [one for one in faults if one is not None]

    @property
    def verdict(self) -> Verdict:
        """Return how the test ended: the gravest of what holds."""
        total = self.total
        if total is None or any(one.has_ended_early for one in self.runs):
            return Verdict.UNREACHABLE
        if self.wrong:
            return Verdict.WRONG
        if total.error_share > self.settings.most_errors:
            return Verdict.ERRORS
        if not self.kept:
            return Verdict.VOID
        if not self.is_stable:
            return Verdict.VOID if len(self.kept) < self.settings.repeats else Verdict.UNSTABLE
        bound = self.settings.bound_ms
        reported = total.latency.percentile(self.settings.percentile) / 1e6
        return Verdict.MISSED if bound is not None and not reported <= bound else Verdict.MET


def prepare(
    target: LoadTarget,
    model: str,
    *,
    rows_file: Path | None = None,
    golden_file: Path | None = None,
    seed: int = 1,
) -> LoadTest:
    """Read the model's tensors, make or read rows, and send each row once.

    Args:
        target: the server.
        model: its model.
        rows_file: JSON lines or CSV to take the rows from.
        golden_file: golden rows and outputs, a file or a package's folder.
        seed: of rows that are made.

    Raises:
        TargetUnavailable: the server does not answer, or not as the protocol says.
        ConfigurationError: it lacks the model, refuses a row, or a file cannot be read.
    """
    golden = None if golden_file is None else read_golden(golden_file)
    with ModelClient(target) as client:
        served = client.read_model(model)
        rows: Sequence[Row]
        if golden is not None:
            rows, origin = golden.rows, f"golden rows of {golden_file}"
        elif rows_file is not None:
            rows, origin = read_rows(rows_file), f"rows of {rows_file}"
        else:
            rows = make_rows(served, ROWS, seed)
            origin = f"made from the served {'schema' if served.fields else 'metadata'}"
        requests = [encode_request(target, served, row, n) for n, row in enumerate(rows)]
        is_made = golden is None and rows_file is None
        requests, answers = _call_each(client, model, requests, is_made=is_made)
        refused = len(rows) - len(requests)
    if golden is not None:
        check = AnswerCheck.of_golden(target, golden)
    else:
        check = AnswerCheck.of_first_answers(target, answers)
    faults = [check.fault(number, answer) for number, answer in enumerate(answers)]
    wires = [
        (wire_request(target, model, request), wire_answer(target, answer))
        for request, answer in zip(requests, answers, strict=True)
    ]
    origin += f"; {refused} others were refused by the server" if refused else ""
    return LoadTest(target, model, wires, check, [one for one in faults if one], origin)


def _call_each(
    client: ModelClient, model: str, requests: Sequence[bytes], *, is_made: bool
) -> tuple[list[bytes], list[bytes]]:
    """Return the requests that were answered, and the answers.

    A row that was made may break a rule that the server does not tell: then it is left out.
    """
    kept, answers, refusal = [], [], None
    for request in requests:
        try:
            answers.append(client.infer(model, request))
            kept.append(request)
        except ConfigurationError as error:
            if not is_made:
                raise
            refusal = error
    if refusal is not None and not kept:
        raise ConfigurationError(
            f"the server refuses all rows that were made; give some with --rows. {refusal}"
        ) from refusal
    return kept, answers


def run_load(
    test: LoadTest, settings: LoadSettings, show: Callable[[RunResult, str | None], None]
) -> Measured:
    """Run until the last runs agree, or there were enough; call `show` after each.

    A void run does not count and is repeated. What was measured before the server left, or before
    the user ended it (Ctrl-C), is kept.

    Raises:
        TargetUnavailable: no connection could be made for the first run.
    """
    measured = Measured(test, settings)
    watch = MachineWatch.start()
    try:
        while len(measured.runs) < settings.most_repeats and not measured.is_stable:
            run = run_once(
                test.target, test.model, test.rows, settings, settings.seed + len(measured.runs)
            )
            show(run, add_run(measured, run))
            if run.has_ended_early:
                break
    except RunInterrupted as cut:
        measured.was_interrupted = True
        measured.runs.append(cut.result)
    measured.machine = {
        **machine_facts(),
        "busy_before": round(watch.before, 3),
        "busy_during_by_others": round(watch.during(), 3),
        "is_marked": watch.is_marked,
    }
    return measured


def add_run(measured: Measured, run: RunResult) -> str | None:
    """Count a run: keep it, or return why it is void; see whether the last ones agree."""
    settings = measured.settings
    measured.runs.append(run)
    reason = void_reason(run, settings)
    if reason is not None:
        measured.void.append(reason)
        return reason
    measured.kept = [*measured.kept, run][-settings.repeats :]
    is_enough = len(measured.kept) == settings.repeats
    measured.is_stable = is_enough and agree(measured.kept, settings)
    return None


def different(run: RunResult) -> int:
    """Return how many answers were good, but not the bytes of the first answer to their row."""
    return int(run.outcomes[Outcome.DIFFERENT])

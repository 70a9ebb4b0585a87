"""The log of runs survives being cut anywhere; a run without an end was interrupted."""

from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.pipeline.steps.log import RunLog
from gnomon.pipeline.steps.record import PipelineRun, RunState, StepRecord
from gnomon.runtime.ids import new_id


def record(identity: str = "") -> PipelineRun:
    return PipelineRun(
        id=identity or new_id(),
        pipeline="duration",
        trigger="hand",
        state=RunState.RUNNING,
        started_at=1_000,
    )


def done(one: PipelineRun, state: RunState = RunState.SUCCEEDED) -> PipelineRun:
    return msgspec.structs.replace(one, state=state, ended_at=2_000)


STEP = StepRecord(name="rows", state="done", seconds=1.5, kind="dataset", key="k")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    assert log.runs() == []
    first, second = record(), record()
    log.start(first)
    log.add_step(first.id, STEP)
    log.end(done(first))
    log.start(second)
    log.add_step(second.id, STEP)
    assert log.runs() == [done(first), msgspec.structs.replace(second, steps=(STEP,))]
    assert RunLog(tmp_path).runs() == log.runs()


def test_a_run_without_an_end_was_interrupted(tmp_path: Path) -> None:
    log, one = RunLog(tmp_path), record()
    log.start(one)
    log.add_step(one.id, STEP)
    (closed,) = log.close_interrupted()
    assert (closed.state, closed.steps) == (RunState.INTERRUPTED, (STEP,))
    assert closed.error
    assert log.runs() == [closed]
    assert log.close_interrupted() == []


def test_each_hub_is_sent_each_run_once(tmp_path: Path) -> None:
    log, ended, under_way = RunLog(tmp_path), record(), record()
    log.start(ended)
    log.end(done(ended, RunState.FAILED))
    log.start(under_way)
    assert [one.id for one in log.unsent("http://a")] == [ended.id]
    log.mark_sent(ended.id, "http://a")
    assert log.unsent("http://a") == []
    assert [one.id for one in log.unsent("http://b")] == [ended.id]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2_000))
def test_a_log_cut_anywhere_keeps_what_was_before(tmp_path_factory, length) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = RunLog(folder)
    ones = [record() for _ in range(3)]
    lengths = []
    for one in ones:
        log.start(one)
        log.end(done(one))
        lengths.append((folder / "runs.jsonl").stat().st_size)
    whole = (folder / "runs.jsonl").read_bytes()
    (folder / "runs.jsonl").write_bytes(whole[:length])
    kept = sum(end <= length for end in lengths)
    assert log.runs()[:kept] == [done(one) for one in ones[:kept]]

    last = record()
    log.start(last)
    log.end(done(last))
    found = log.runs()
    assert found[:kept] == [done(one) for one in ones[:kept]]
    assert found[-1] == done(last)
    assert log.damaged_lines <= 1

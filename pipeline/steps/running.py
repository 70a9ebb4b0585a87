"""Runs a pipeline, one at a time in a state folder, and records each run however it ends."""

import contextlib
import io
import sys
import traceback
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import msgspec

from gnomon.pipeline.environment import code_version
from gnomon.pipeline.steps.artifacts import Artifact, ArtifactKind
from gnomon.pipeline.steps.build import Build, Observer, Pipeline
from gnomon.pipeline.steps.cache import StepCache
from gnomon.pipeline.steps.code import environment
from gnomon.pipeline.steps.log import RunLog
from gnomon.pipeline.steps.record import PipelineRun, RunState, StepRecord
from gnomon.pipeline.steps.rules import RefusedBuild, check_clean
from gnomon.runtime.errors import ConfigurationError, GnomonError
from gnomon.runtime.ids import new_id, now_ms
from gnomon.runtime.lock import FolderLock
from gnomon.runtime.packages.signing import Signer

__all__ = ["find_packages", "open_log", "run_pipeline"]

_CACHE = "cache"
_LOG_CHARACTERS = 32_000
_ERROR_CHARACTERS = 8_000
_TRIGGER_CHARACTERS = 200


def run_pipeline(
    pipeline: Pipeline,
    state_folder: Path,
    *,
    trigger: str = "hand",
    parameters: Mapping[str, Any] | None = None,
    signer: Signer | None = None,
    observe: Observer = lambda change: None,
) -> PipelineRun:
    """Run a pipeline and return its record; a failed step is recorded, not raised.

    In texts among the parameters `{day}` stands for the day (UTC, 20260301) and `{run}` for the
    run's id, so that a build that runs again and again makes one version after the other.

    Args:
        pipeline: what to run.
        state_folder: log of runs, cache and lock.
        trigger: what started the run, for the record.
        parameters: in place of the pipeline's defaults.
        signer: whose key signs packages; None: unsigned.
        observe: called with each change of a step's state.

    Raises:
        StorageError: another run is under way in this state folder, or the disk is full.
        ConfigurationError: a parameter is unknown.
    """
    lock = FolderLock(state_folder)
    try:
        _hide_from_git(state_folder)
        log = open_log(state_folder)
        log.close_interrupted()
        record = _begin(pipeline, trigger, parameters or {})
        log.start(record)
        cache = StepCache(state_folder / _CACHE)
        ended = _Attempt(pipeline, record, log, cache).run(signer, observe)
        log.end(ended)
        return ended
    finally:
        lock.release()


def _hide_from_git(state_folder: Path) -> None:
    """Let git ignore the folder: with its files a tree would never be clean again."""
    ignored = state_folder / ".gitignore"
    if not ignored.exists():
        ignored.write_text("*\n", encoding="ascii")


def open_log(state_folder: Path) -> RunLog:
    """Return the log of the runs in a state folder."""
    return RunLog(state_folder)


def find_packages(record: PipelineRun, state_folder: Path) -> list[Path]:
    """Return the folders of the packages that a run made."""
    cache = StepCache(state_folder / _CACHE)
    found = (
        cache.find(step.key, step.name, ArtifactKind.PACKAGE)
        for step in record.steps
        if step.kind == ArtifactKind.PACKAGE and step.state != "failed"
    )
    return [artifact.path for artifact in found if isinstance(artifact, Artifact)]


def _begin(pipeline: Pipeline, trigger: str, given: Mapping[str, Any]) -> PipelineRun:
    unknown = sorted(set(given) - set(pipeline.parameters))
    if unknown:
        known = ", ".join(sorted(pipeline.parameters)) or "none"
        raise ConfigurationError(
            f"{pipeline.name} has no parameter {unknown[0]!r}; it has: {known}"
        )
    run, started_at = new_id(), now_ms()
    day = datetime.fromtimestamp(started_at / 1_000, UTC).strftime("%Y%m%d")
    parameters = {
        name: value.replace("{day}", day).replace("{run}", run) if isinstance(value, str) else value
        for name, value in {**pipeline.parameters, **given}.items()
    }
    commit, clean = code_version(pipeline.source)
    return PipelineRun(
        id=run,
        pipeline=pipeline.name,
        trigger=trigger[:_TRIGGER_CHARACTERS],
        state=RunState.RUNNING,
        started_at=started_at,
        parameters=msgspec.to_builtins(parameters),
        code_version=commit,
        code_clean=clean,
        environment=dict(environment()),
    )


class _Attempt:
    """A run with its output and the results of its steps."""

    def __init__(
        self, pipeline: Pipeline, record: PipelineRun, log: RunLog, cache: StepCache
    ) -> None:
        self._pipeline = pipeline
        self._record = record
        self._log = log
        self._cache = cache
        self._steps: list[StepRecord] = []
        self._said = _Tail(sys.stderr)

    def run(self, signer: Signer | None, observe: Observer) -> PipelineRun:
        state, error = RunState.SUCCEEDED, ""
        build = Build(
            self._pipeline, self._record.parameters, self._cache, signer, observe, self._add
        )
        try:
            if self._pipeline.all_rules.clean_code:
                check_clean(self._pipeline.source)
            with self._listening():
                self._pipeline.function(build)
        except RefusedBuild as refusal:
            state, error = RunState.REFUSED, str(refusal)
        except GnomonError as fault:
            state, error = RunState.FAILED, str(fault)
        except Exception as fault:
            state, error = RunState.FAILED, f"{type(fault).__name__}: {fault}"
            self._said.write(traceback.format_exc())
        except KeyboardInterrupt:
            self._log.end(self._ended(RunState.INTERRUPTED, "it was interrupted"))
            raise
        return self._ended(state, error)

    def _add(self, step: StepRecord) -> None:
        self._steps.append(step)
        self._log.add_step(self._record.id, step)

    def _ended(self, state: RunState, error: str) -> PipelineRun:
        return msgspec.structs.replace(
            self._record,
            state=state,
            ended_at=now_ms(),
            steps=tuple(self._steps),
            error=error[:_ERROR_CHARACTERS],
            log=self._said.text,
        )

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        """Keep what steps print, and show it on standard error: the result may be JSON."""
        with contextlib.redirect_stdout(self._said), contextlib.redirect_stderr(self._said):
            yield


class _Tail(io.TextIOBase):
    """A stream that forwards text and keeps its end."""

    def __init__(self, shown: TextIO) -> None:
        self._shown = shown
        self._kept: deque[str] = deque()
        self._characters = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._shown.write(text)
        self._kept.append(text[-_LOG_CHARACTERS:])
        self._characters += len(self._kept[-1])
        while len(self._kept) > 1 and self._characters - len(self._kept[0]) > _LOG_CHARACTERS:
            self._characters -= len(self._kept.popleft())
        return len(text)

    def flush(self) -> None:
        self._shown.flush()

    @property
    def text(self) -> str:
        """The last part of what was written."""
        return "".join(self._kept)[-_LOG_CHARACTERS:]

"""A model in service: package, contracts, packing and engine, ready to answer."""

import contextlib
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.contract import Contract
from gnomon.core.contract.violations import Violations
from gnomon.core.fields import ContractError
from gnomon.core.packing import Packing
from gnomon.core.row import Columns
from gnomon.core.window import ANSWERED_CODE, FAILED_CODE, REFUSED_CODE
from gnomon.runtime.engines import Engine, EngineClosed, RowRunner
from gnomon.runtime.engines.asleep import ASLEEP
from gnomon.runtime.engines.pool import load_instances
from gnomon.runtime.engines.row_axis import RowByRow, check_rows
from gnomon.runtime.errors import EngineError, GnomonError, InvalidInput, PackageError
from gnomon.runtime.latency import LatencyEstimate
from gnomon.runtime.models.columns import columns_of
from gnomon.runtime.models.outputs import OutputReader, repair_columns, repair_row
from gnomon.runtime.models.refusals import bad_output, refusal
from gnomon.runtime.models.speed import quickest_ns
from gnomon.runtime.packages.manifest import Batching, Deployment
from gnomon.runtime.packages.package import Package

logger = logging.getLogger("gnomon.runtime")

#: Golden rows that are looked at for whether the model answers row by row.
_CHECKED_ROWS = 16

#: What a contract raises for data that is not even rows or columns.
UNREADABLE = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError)


class RowScratch:
    """One call's buffers and what became of it, reused call by call by one thread at a time.

    `code` is the outcome in a window; `error` is set unless it is `ANSWERED_CODE`; `has_outputs`
    says whether the model gave any, good or bad, and `is_read` whether the inputs could be read.
    """

    __slots__ = (
        "code",
        "engine",
        "error",
        "has_outputs",
        "inputs",
        "is_read",
        "output_row",
        "output_violations",
        "outputs",
        "runner",
        "violations",
    )

    def __init__(
        self, inputs: Contract, outputs: Contract, engine: Engine, runner: RowRunner | None
    ) -> None:
        self.engine = engine
        self.runner = runner
        self.inputs = inputs.new_row()
        self.output_row = outputs.new_row()
        self.code = FAILED_CODE
        self.error: GnomonError | None = None
        self.is_read = False
        self.has_outputs = False
        self.outputs: dict[str, Any] = {}
        self.violations: Violations | None = None
        self.output_violations: Violations | None = None


class BatchResult:
    """What became of a request of many rows; as `RowScratch`, with columns."""

    __slots__ = (
        "code",
        "error",
        "input_columns",
        "output_columns",
        "output_violations",
        "outputs",
        "violations",
    )

    def __init__(self) -> None:
        self.code = FAILED_CODE
        self.error: GnomonError | None = None
        self.input_columns: Columns | None = None
        self.output_columns: Columns | None = None
        self.outputs: dict[str, NDArray[Any]] = {}
        self.violations: Violations | None = None
        self.output_violations: Violations | None = None


class Model:
    """One loaded package. Threads may share it; it records nothing.

    `deployment` replaces the manifest's settings; `batching` is how its rows are gathered, if they
    are; `row_latency` is how long the engine takes for a row, as last measured.

    Raises:
        EngineError: the engine cannot load the model, or an output's first axis is not the rows.
        PackageError: the profile's contract or the packing contradicts itself.
    """

    def __init__(self, package: Package, deployment: Deployment | None = None) -> None:
        self.package = package
        self.deployment = deployment or package.manifest.deployment
        self.batching: Batching | None = self.deployment.batching or None
        self.instances = self.deployment.instances or 1
        self.digest = package.digest
        self.name = package.manifest.name
        self.version = package.manifest.version
        self.reference = package.reference
        profile, manifest = package.profile, package.manifest
        try:
            self.inputs = Contract(profile.inputs, profile.rules)
            self.outputs = Contract(profile.outputs)
            self.packing = Packing.from_dict(self.inputs, manifest.packing)
        except ContractError as error:
            raise PackageError(f"{self.reference}: {error}") from error
        self._output_tensors = manifest.output_tensors
        self._reader = OutputReader(self.reference, profile.outputs)
        self._vectors = {field.name for field in profile.inputs if field.kind.is_vector}
        self._idle: list[RowScratch] = []
        self.row_latency = LatencyEstimate()
        self._is_row_by_row = False
        self.engine: Engine = self._load()
        self._check_rows()

    @property
    def is_awake(self) -> bool:
        """Whether it has an engine; without one, calls that need it raise `EngineClosed`."""
        return self.engine is not ASLEEP

    def sleep(self) -> None:
        """Give back the engine, until `wake`."""
        engine, self.engine = self.engine, ASLEEP
        self._idle.clear()
        engine.close()

    def wake(self) -> None:
        """Load the engine again.

        Raises:
            EngineError, PackageError: it cannot be loaded any more.
        """
        self.engine = self._load()

    def _load(self) -> Engine:
        package = self.package
        engine = load_instances(package.read_model(), package.manifest, self.instances)
        return RowByRow(engine) if self._is_row_by_row else engine

    def _check_rows(self) -> None:
        """Refuse a model whose rows are no first axis; run rows one by one if they depend."""
        try:
            tensors = self._golden_tensors()
            if check_rows(self.reference, self.engine, tensors, self._output_tensors):
                return
        except BaseException:
            self.engine.close()
            raise
        self._is_row_by_row = True
        self.batching = None
        self.engine = RowByRow(self.engine)
        logger.warning(
            "%s answers a row among others differently than alone, so the rows of a call are run "
            "one by one and calls are not batched",
            self.reference,
        )

    def _golden_tensors(self) -> dict[str, NDArray[Any]]:
        """Return a few golden rows that the contract takes as the engine's tensors; else zeros."""
        rows = self.package.golden.rows[:_CHECKED_ROWS]
        with contextlib.suppress(*UNREADABLE):
            columns, violations = self.inputs.check_columns(columns_of(rows))
            bad = violations.rejected_rows(len(rows)) if violations else np.zeros(len(rows), bool)
            if not bad.all():
                tensors = self.packing.pack_columns(columns)
                return {name: array[~bad] for name, array in tensors.items()}
        empty = self.packing.pack_row(self.inputs.new_row())
        return {name: np.zeros_like(array) for name, array in empty.items()}

    def acquire(self) -> RowScratch:
        """Return a workspace for one thread; give it back with `release`."""
        engine = self.engine
        while self._idle:
            try:
                work = self._idle.pop()
            except IndexError:
                break
            if work.engine is engine:
                return work
        return RowScratch(self.inputs, self.outputs, engine, engine.row_runner(self.packing))

    def release(self, work: RowScratch) -> None:
        """Take a workspace back for the next call."""
        self._idle.append(work)

    def answer_row(self, row: Mapping[str, Any], work: RowScratch) -> None:
        """Answer one row into a workspace; only `EngineClosed` is raised."""
        work.is_read = work.has_outputs = False
        work.error = work.violations = work.output_violations = None
        try:
            violations = self.inputs.check_row(row, work.inputs)
        except UNREADABLE as error:
            work.code = REFUSED_CODE
            work.error = unreadable(self.reference, f"the row cannot be read ({error})")
            return
        work.is_read = True
        work.violations = violations
        if violations is not None and violations.rejected:
            work.code = REFUSED_CODE
            work.error = refusal(self.reference, violations)
            return
        try:
            work.outputs = self._reader.read_row(self._run_row(work))
            wrong = self.outputs.check_row(work.outputs, work.output_row)
        except EngineClosed:
            raise
        except Exception as error:
            work.code = FAILED_CODE
            work.error = self._failure(error)
            return
        work.has_outputs = True
        work.code = ANSWERED_CODE
        if wrong is not None:
            self._judge_outputs(work, wrong)

    def _run_row(self, work: RowScratch) -> list[Any]:
        """Return the engine's answer to the row in a workspace."""
        if work.runner is not None:
            return work.runner.run(work.inputs)
        tensors = work.engine.run(self.packing.pack_row(work.inputs))
        return [tensors[name] for name in self._output_tensors]

    def _judge_outputs(self, work: RowScratch, wrong: Violations) -> None:
        """Refuse an answer that breaks its contract, or repair it as the policies say."""
        work.output_violations = wrong
        if wrong.rejected:
            work.code = FAILED_CODE
            work.error = bad_output(self.reference, wrong)
        else:
            repair_row(work.outputs, self.outputs.fields, work.output_row)

    def answer_columns(self, columns: Mapping[str, Any]) -> BatchResult:
        """Answer many rows; one that is refused refuses them all; raises only `EngineClosed`."""
        batch = BatchResult()
        columns = {
            name: column[:, 0] if self._is_upright(name, column) else column
            for name, column in columns.items()
        }
        try:
            batch.input_columns, batch.violations = self.inputs.check_columns(columns)
        except UNREADABLE as error:
            batch.code = REFUSED_CODE
            batch.error = unreadable(self.reference, str(error))
            return batch
        rows = len(batch.input_columns)
        if batch.violations is not None and batch.violations.rejected:
            batch.code = REFUSED_CODE
            batch.error = refusal(self.reference, batch.violations)
        elif rows == 0:
            batch.code = REFUSED_CODE
            batch.error = unreadable(self.reference, "the request has no rows")
        else:
            self._answer(batch, batch.input_columns)
        return batch

    def _is_upright(self, name: str, column: Any) -> bool:
        """Whether a scalar field comes as `(N, 1)`."""
        return (
            isinstance(column, np.ndarray)
            and column.ndim == 2
            and column.shape[1] == 1
            and name not in self._vectors
        )

    def _answer(self, batch: BatchResult, inputs: Columns) -> None:
        try:
            tensors = self.engine.run(self.packing.pack_columns(inputs))
            answers = [tensors[name] for name in self._output_tensors]
            batch.outputs = self._reader.read_columns(answers, len(inputs))
            batch.output_columns, wrong = self.outputs.check_columns(batch.outputs)
        except EngineClosed:
            raise
        except Exception as error:
            batch.error = self._failure(error)
            return
        batch.output_violations = wrong
        if wrong is not None:
            if wrong.rejected:
                batch.error = bad_output(self.reference, wrong)
                return
            repair_columns(batch.outputs, self.outputs.fields, batch.output_columns)
        batch.code = ANSWERED_CODE

    def _failure(self, error: Exception) -> GnomonError:
        if isinstance(error, GnomonError):
            return error
        logger.warning("%s could not be run", self.reference, exc_info=error)
        failure = EngineError(
            f"{self.reference}: the model could not be run ({type(error).__name__}; see the log)"
        )
        failure.__cause__ = error
        return failure

    def warm_up(self) -> None:
        """Run the golden rows as often as the manifest wants, so that first callers do not wait.

        Measures `row_latency` then: the first run alone lays out memory, and would make any model
        slow. A model without a warm-up is not measured.

        Raises:
            EngineError: the engine fails on one.
        """
        for _ in range(self.deployment.warm_up_runs):
            for row in self.package.golden.rows:
                work = self.acquire()
                self.answer_row(row, work)
                self.release(work)
                if isinstance(work.error, EngineError):
                    raise work.error
        if self.deployment.warm_up_runs:
            self.measure_row()

    def measure_row(self) -> None:
        """Set `row_latency` to the quickest of some runs of the engine on the first golden row.

        Of the engine alone, by `gnomon.runtime.latency.clock_of`: what else the process or the
        machine does meanwhile changes little. Without a golden row that runs, nothing changes.
        """
        work = self.acquire()
        try:
            for row in self.package.golden.rows[:1]:
                self.answer_row(row, work)
                if work.has_outputs:
                    took = quickest_ns(lambda: self._run_row(work), work.engine.works_in_caller)
                    self.row_latency.replace(took / 1e9)
        finally:
            self.release(work)

    def predict_row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs of one row by name, unrecorded.

        Raises:
            InvalidInput: the row breaks the contract.
            InvalidOutput: the answer breaks the contract of the outputs.
            EngineError: the engine failed.
        """
        work = self.acquire()
        try:
            self.answer_row(row, work)
            if work.error is not None:
                raise work.error
            return work.outputs
        finally:
            self.release(work)

    def predict_columns(self, columns: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Return the outputs of many rows by name, unrecorded; raises as `predict_row`."""
        batch = self.answer_columns(columns)
        if batch.error is not None:
            raise batch.error
        return batch.outputs

    def close(self) -> None:
        """Give back the engine; a second call does nothing."""
        self.engine.close()


def unreadable(reference: str, why: str) -> InvalidInput:
    """Return the error for a request whose fields cannot be told."""
    return InvalidInput(
        f"{reference} refused the input: {why}; expected one value for each field and row",
        details=[{"row": None, "field": None, "rule": "request", "value": None, "expected": why}],
    )

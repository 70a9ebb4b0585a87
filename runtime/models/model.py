"""A model in service: package, contracts, packing and engine, ready to answer."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.contract import Contract
from gnomon.core.contract.violations import Violations
from gnomon.core.fields import ContractError
from gnomon.core.packing import Packing
from gnomon.core.row import Columns
from gnomon.runtime.decoding import UNREADABLE
from gnomon.runtime.engines import Engine, EngineClosed
from gnomon.runtime.engines.asleep import ASLEEP
from gnomon.runtime.engines.pool import load_instances
from gnomon.runtime.engines.row_axis import RowByRow, check_rows
from gnomon.runtime.errors import EngineError, GnomonError, PackageError
from gnomon.runtime.latency import LatencyEstimate
from gnomon.runtime.models.golden_rows import golden_tensors
from gnomon.runtime.models.outputs import OutputReader, repair_columns, repair_row
from gnomon.runtime.models.refusals import bad_output, refusal, unreadable
from gnomon.runtime.models.results import ColumnsResult, Failure, ModelAnswer, Rejection, RowResult
from gnomon.runtime.models.row_scratch import RowScratch
from gnomon.runtime.models.speed import quickest_ns
from gnomon.runtime.packages.manifest import Batching, Deployment
from gnomon.runtime.packages.package import Package
from gnomon.runtime.tables import TableColumn

logger = logging.getLogger("gnomon.runtime")


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
        profile = package.profile
        self.inputs: Contract
        self.outputs: Contract
        self.packing: Packing
        self._read_contracts()
        self._output_tensors = package.manifest.output_tensors
        self._reader = OutputReader(self.reference, profile.outputs)
        self._vectors = {field.name for field in profile.inputs if field.kind.is_vector}
        self._idle: list[RowScratch] = []
        self.row_latency = LatencyEstimate()
        self._is_row_by_row = False
        self.engine: Engine = self._load()
        self._check_rows()

    def _read_contracts(self) -> None:
        """Make the contracts of inputs and outputs, and the packing."""
        profile = self.package.profile
        try:
            self.inputs = Contract(profile.inputs, profile.rules)
            self.outputs = Contract(profile.outputs)
            self.packing = Packing.from_dict(self.inputs, self.package.manifest.packing)
        except ContractError as error:
            raise PackageError(f"{self.reference}: {error}") from error

    @property
    def columns(self) -> Sequence[TableColumn]:
        """Return the fields that a table's columns hold."""
        return self.inputs.fields

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
        """Refuse a model whose first axis is not the rows; run dependent rows one by one."""
        try:
            tensors = golden_tensors(self.package.golden, self.inputs, self.packing)
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

    def acquire(self) -> RowScratch:
        """Return buffers for one row and one thread; give them back with `release`."""
        engine = self.engine
        while self._idle:
            try:
                scratch = self._idle.pop()
            except IndexError:
                break
            if scratch.engine is engine:
                return scratch
        return RowScratch(self.inputs, self.outputs, engine, engine.row_runner(self.packing))

    def release(self, scratch: RowScratch) -> None:
        """Take buffers back for the next call; results of rows answered in them end here."""
        self._idle.append(scratch)

    def answer_row(self, row: Mapping[str, Any], scratch: RowScratch) -> RowResult:
        """Answer one row; the result is valid until `scratch` is released.

        Raises:
            EngineClosed: the model was unloaded meanwhile; nothing else is raised.
        """
        inputs = scratch.inputs
        try:
            violations = self.inputs.check_row(row, inputs)
        except UNREADABLE as error:
            return Rejection(unreadable(self.reference, f"the row cannot be read ({error})"))
        if violations is not None and violations.rejected:
            return Rejection(refusal(self.reference, violations), inputs, violations)
        try:
            outputs = self._reader.read_row(self._run_row(scratch))
            wrong = self.outputs.check_row(outputs, scratch.outputs)
        except EngineClosed:
            raise
        except Exception as error:
            return Failure(self._failure(error), inputs, violations)
        if wrong is not None:
            if wrong.rejected:
                bad = bad_output(self.reference, wrong)
                return Failure(bad, inputs, violations, scratch.outputs, wrong)
            repair_row(outputs, self.outputs.fields, scratch.outputs)
        return ModelAnswer(outputs, inputs, violations, scratch.outputs, wrong)

    def _run_row(self, scratch: RowScratch) -> list[Any]:
        """Return the engine's answer to the row in the buffers."""
        if scratch.runner is not None:
            return scratch.runner.run(scratch.inputs)
        tensors = scratch.engine.run(self.packing.pack_row(scratch.inputs))
        return [tensors[name] for name in self._output_tensors]

    def answer_columns(self, columns: Mapping[str, Any]) -> ColumnsResult:
        """Answer many rows; one that is rejected rejects them all.

        Raises:
            EngineClosed: the model was unloaded meanwhile; nothing else is raised.
        """
        columns = {
            name: column[:, 0] if self._is_upright(name, column) else column
            for name, column in columns.items()
        }
        try:
            inputs, violations = self.inputs.check_columns(columns)
        except UNREADABLE as error:
            return Rejection(unreadable(self.reference, str(error)))
        if violations is not None and violations.rejected:
            return Rejection(refusal(self.reference, violations), inputs, violations)
        if len(inputs) == 0:
            return Rejection(unreadable(self.reference, "the request has no rows"), inputs)
        return self._answer_checked(columns, inputs, violations)

    def _is_upright(self, name: str, column: Any) -> bool:
        """Whether a scalar field comes as `(N, 1)`."""
        return (
            isinstance(column, np.ndarray)
            and column.ndim == 2
            and column.shape[1] == 1
            and name not in self._vectors
        )

    def _answer_checked(
        self, _columns: Mapping[str, Any], inputs: Columns, violations: Violations | None
    ) -> ColumnsResult:
        """Answer rows that keep the contract, from what it made of them."""
        try:
            tensors = self.engine.run(self.packing.pack_columns(inputs))
            answers = [tensors[name] for name in self._output_tensors]
            outputs = self._reader.read_columns(answers, len(inputs))
            checked, wrong = self.outputs.check_columns(outputs)
        except EngineClosed:
            raise
        except Exception as error:
            return Failure(self._failure(error), inputs, violations)
        if wrong is not None:
            if wrong.rejected:
                bad = bad_output(self.reference, wrong)
                return Failure(bad, inputs, violations, checked, wrong)
            repair_columns(outputs, self.outputs.fields, checked)
        return ModelAnswer(outputs, inputs, violations, checked, wrong)

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
        """Run the golden rows as often as the manifest says, so that first callers do not wait.

        Measures `row_latency` then: the first run alone lays out memory, and would make any model
        slow. A model without a warm-up is not measured.

        Raises:
            EngineError: the engine fails on one.
        """
        for _ in range(self.deployment.warm_up_runs):
            for row in self.package.golden.rows:
                scratch = self.acquire()
                result = self.answer_row(row, scratch)
                self.release(scratch)
                if isinstance(result, Failure) and isinstance(result.error, EngineError):
                    raise result.error
        if self.deployment.warm_up_runs:
            self.measure_row()

    def measure_row(self) -> None:
        """Set `row_latency` to the quickest of some runs of the engine on the first golden row.

        Of the engine alone, by `gnomon.runtime.latency.clock_of`: what else the process or the
        machine does meanwhile changes little. Without a golden row that runs, nothing changes.
        """
        scratch = self.acquire()
        try:
            for row in self.package.golden.rows[:1]:
                if self.answer_row(row, scratch).checked_outputs is not None:
                    works_in_caller = scratch.engine.works_in_caller
                    took = quickest_ns(lambda: self._run_row(scratch), works_in_caller)
                    self.row_latency.replace(took / 1e9)
        finally:
            self.release(scratch)

    def predict_row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs of one row by name, unrecorded.

        Raises:
            InvalidInput: the row breaks the contract.
            InvalidOutput: the answer breaks the contract of the outputs.
            EngineError: the engine failed.
        """
        scratch = self.acquire()
        try:
            result = self.answer_row(row, scratch)
        finally:
            self.release(scratch)
        if isinstance(result, ModelAnswer):
            return result.outputs
        raise result.error

    def predict_columns(self, columns: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Return the outputs of many rows by name, each of shape `(rows, …)`; nothing is recorded.

        Raises as `predict_row`.
        """
        result = self.answer_columns(columns)
        if isinstance(result, ModelAnswer):
            return result.outputs
        raise result.error

    def close(self) -> None:
        """Give back the engine; a second call does nothing."""
        self.engine.close()

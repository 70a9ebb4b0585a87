"""A model whose tensors are served as they are."""

from collections.abc import Mapping
from typing import Any, cast

from numpy.typing import NDArray

from gnomon.core.contract import Contract
from gnomon.core.contract.violations import Violations
from gnomon.core.fields import ContractError
from gnomon.core.packing import Packing
from gnomon.core.row import Columns
from gnomon.runtime.decoding import UNREADABLE
from gnomon.runtime.engines import Engine, EngineClosed
from gnomon.runtime.engines.pool import load_instances
from gnomon.runtime.engines.row_axis import RowByRow, check_axis, check_rows
from gnomon.runtime.engines.whole_tensors import WholeTensors
from gnomon.runtime.errors import PackageError
from gnomon.runtime.models.columns import columns_of
from gnomon.runtime.models.model import Model
from gnomon.runtime.models.refusals import bad_output, refusal, unreadable
from gnomon.runtime.models.results import ColumnsResult, Failure, ModelAnswer, Rejection, RowResult
from gnomon.runtime.models.row_scratch import RowScratch
from gnomon.runtime.models.speed import quickest_ns
from gnomon.runtime.models.tensor_contract import TensorContract, means_of
from gnomon.runtime.packages.manifest import Deployment
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.served_tensors import ServedTensors, TensorField, read_served_tensors

__all__ = ["TensorModel", "open_model"]

_GOLDEN_ROWS = 3


def open_model(package: Package, deployment: Deployment | None = None) -> Model:
    """Load a package: one that packs fields, or one whose tensors are served as they are.

    Raises as `Model`.
    """
    is_packed = read_served_tensors(package.manifest.packing) is None
    return (Model if is_packed else TensorModel)(package, deployment)


class TensorModel(Model):
    """As `Model`; its calls are never gathered, and none is answered without the interpreter."""

    inputs: TensorContract

    @property
    def columns(self) -> tuple[TensorField, ...]:
        """Return the tensors that a table's columns may hold."""
        return self.inputs.tensors

    def _read_contracts(self) -> None:
        profile, manifest = self.package.profile, self.package.manifest
        self._served = cast(ServedTensors, read_served_tensors(manifest.packing))
        try:
            self.inputs = TensorContract(profile.inputs, self._served.served_tensors)
            self.outputs = Contract(profile.outputs)
            self.packing = Packing(self.inputs, ())
        except ContractError as error:
            raise PackageError(f"{self.reference}: {error}") from error

    def _load(self) -> Engine:
        engine = load_instances(self.package.read_model(), self.package.manifest, self.instances)
        if self._served.first_axis == "none":
            return WholeTensors(engine, self.reference)
        is_row_by_row = self._is_row_by_row or self._served.first_axis == "one_row"
        return RowByRow(engine) if is_row_by_row else engine

    def _check_rows(self) -> None:
        """Run rows together only if that was seen to change no answer."""
        self.batching = None
        if self._served.first_axis != "rows":
            return
        rows = self.package.golden.rows[:_GOLDEN_ROWS]
        try:
            tensors = self.inputs.read_columns(columns_of(rows)) if rows else {}
            is_free = bool(rows) and check_rows(
                self.reference, self.engine, tensors, self._output_tensors
            )
        except BaseException:
            self.engine.close()
            raise
        if not is_free:
            self._is_row_by_row = True
            self.engine = RowByRow(self.engine)

    def acquire(self) -> RowScratch:
        """Return buffers for one row and one thread; give them back with `release`."""
        return RowScratch(self.inputs, self.outputs, self.engine, None)

    def release(self, scratch: RowScratch) -> None:
        """Do nothing: buffers of a few numbers are not kept."""

    def answer_row(self, row: Mapping[str, Any], scratch: RowScratch) -> RowResult:
        """Answer one row; see `Model.answer_row`."""
        inputs = scratch.inputs
        try:
            violations = self.inputs.check_row(row, inputs)
        except UNREADABLE as error:
            return Rejection(unreadable(self.reference, str(error)))
        if violations is not None and violations.rejected:
            return Rejection(refusal(self.reference, violations), inputs, violations)
        try:
            arrays = self._run(self.inputs.read_row(row), scratch.engine)
            means = {name: float(means_of(array)[0]) for name, array in arrays.items()}
            wrong = self.outputs.check_row(means, scratch.outputs)
        except EngineClosed:
            raise
        except Exception as error:
            return Failure(self._failure(error), inputs, violations)
        if wrong is not None and wrong.rejected:
            bad = bad_output(self.reference, wrong)
            return Failure(bad, inputs, violations, scratch.outputs, wrong)
        outputs = {name: array.tolist()[0] for name, array in arrays.items()}
        return ModelAnswer(outputs, inputs, violations, scratch.outputs, wrong)

    def _answer_checked(
        self, columns: Mapping[str, Any], inputs: Columns, violations: Violations | None
    ) -> ColumnsResult:
        """Answer rows that keep the contract, from their tensors as they came."""
        try:
            arrays = self._run(self.inputs.read_columns(columns), self.engine)
            means = {name: means_of(array) for name, array in arrays.items()}
            checked, wrong = self.outputs.check_columns(means)
        except EngineClosed:
            raise
        except Exception as error:
            return Failure(self._failure(error), inputs, violations)
        if wrong is not None and wrong.rejected:
            return Failure(bad_output(self.reference, wrong), inputs, violations, checked, wrong)
        return ModelAnswer(arrays, inputs, violations, checked, wrong)

    def _run(self, tensors: Mapping[str, NDArray[Any]], engine: Engine) -> dict[str, NDArray[Any]]:
        """Return the outputs by field, each of shape (rows, …)."""
        found = engine.run(tensors)
        rows = len(next(iter(tensors.values())))
        check_axis(self.reference, found, self._output_tensors, rows)
        names = [spec.name for spec in self.package.manifest.signature.outputs]
        return {
            name: found[tensor] for name, tensor in zip(names, self._output_tensors, strict=True)
        }

    def measure_row(self) -> None:
        """Set `row_latency` to the quickest of some runs on the first golden row, if any."""
        engine, rows = self.engine, self.package.golden.rows
        if not rows:
            return
        try:
            tensors = self.inputs.read_row(rows[0])
        except UNREADABLE:
            return
        took = quickest_ns(lambda: engine.run(tensors), engine.works_in_caller)
        self.row_latency.replace(took / 1e9)

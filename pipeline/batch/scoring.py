"""Rows of record batches through one package: outputs for the valid ones, reasons for the others.

The contract, the packing, the output checks and the digits are those of the runtime that serves.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gnomon.runtime.decoding import UNREADABLE
from gnomon.runtime.errors import GnomonError, InvalidInput
from gnomon.runtime.models.model import Model
from gnomon.runtime.models.refusals import describe
from gnomon.runtime.packages.manifest import TensorSpec
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import TrustStore
from gnomon.runtime.predicting.execution import RowsDiffer
from gnomon.runtime.prediction import Prediction, PredictRequest
from gnomon.runtime.raw_tensors import ELEMENT_TYPES
from gnomon.runtime.recording.sink import NullSink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime
from gnomon.runtime.tables import read_columns

__all__ = ["BatchScorer", "RowRefusal", "ScoredBatch", "output_schema"]

_IDENTITY = "batch"


class RowRefusal(NamedTuple):
    """Why a row has no answer."""

    #: Its place in the batch.
    row: int
    code: str
    message: str
    #: One for each broken rule: field, rule, value (masked if private), what would be right.
    details: Sequence[Mapping[str, Any]]


class ScoredBatch(NamedTuple):
    """The outputs of the answered rows, and the refusals of the others.

    `answered` has the places of the answered rows in the batch, int64 of shape (answered,);
    `outputs` has a row for each of them.
    """

    answered: NDArray[np.int64]
    outputs: pa.RecordBatch
    refusals: list[RowRefusal]


class BatchScorer:
    """One package that scores record batches. One thread at a time may use it."""

    def __init__(self, package: Path, trust: TrustStore | None = None) -> None:
        """Open and load a package.

        Args:
            package: its folder.
            trust: whose signature it needs; None: it may be unsigned, and then runs no code.

        Raises:
            PackageError, UntrustedPackage, EngineError: it cannot be used.
        """
        opened = Package.open(package, trust)
        self._runtime = Runtime(NullSink())
        try:
            self.model: Model = self._runtime.load(opened)
            self._route = opened.manifest.name
            self._runtime.apply([single(self._route, opened.digest)])
        except BaseException:
            self._runtime.close()
            raise
        self._specs = opened.manifest.signature.outputs
        self.schema = output_schema(self._specs)

    def close(self) -> None:
        """Unload the package."""
        self._runtime.close()

    def score(self, batch: pa.RecordBatch) -> ScoredBatch:
        """Score the rows of a batch whose columns are named as the fields; others are ignored.

        Raises:
            PackageError: the outputs are of another kind than the package states.
        """
        fields = self.model.inputs.fields
        known = {field.name for field in fields}
        batch = batch.select([name for name in batch.schema.names if name in known])
        if not batch.num_rows:
            return ScoredBatch(np.empty(0, np.int64), self._outputs({}), [])
        try:
            return self._score_together(batch, np.arange(batch.num_rows))
        except RowsDiffer:
            pass
        except InvalidInput as error:  # no row can be read, such as texts in a field of numbers
            rows = range(batch.num_rows)
            refusals = [RowRefusal(row, error.code, str(error), error.details) for row in rows]
            return ScoredBatch(np.empty(0, np.int64), self._outputs({}), refusals)
        return self._score_apart(batch)

    def _score_together(self, batch: pa.RecordBatch, places: NDArray[np.int64]) -> ScoredBatch:
        columns = read_columns(batch, self.model.inputs.fields)
        answers = self._runtime.predict_columns(
            self._route, columns, request_id=_IDENTITY, is_divisible=True
        )
        return ScoredBatch(places, self._outputs(answers.outputs), [])

    def _score_apart(self, batch: pa.RecordBatch) -> ScoredBatch:
        """Score the valid rows together if that can be done, else one by one."""
        bad, refusals = self._check(batch)
        places = np.flatnonzero(~bad)
        if not len(places):
            return ScoredBatch(places, self._outputs({}), refusals)
        valid = batch.take(pa.array(places))
        try:
            found = self._score_together(valid, places)
        except RowsDiffer:
            found = self._score_rows(valid, places)
        merged = sorted([*refusals, *found.refusals], key=lambda one: one.row)
        return found._replace(refusals=merged)

    def _check(self, batch: pa.RecordBatch) -> tuple[NDArray[np.bool_], list[RowRefusal]]:
        """Return which rows the contract refuses, and why."""
        none = np.zeros(batch.num_rows, np.bool_)
        columns = read_columns(batch, self.model.inputs.fields)
        try:
            violations = self.model.inputs.check_columns(columns)[1]
        except UNREADABLE:
            return none, []
        if violations is None or not violations.rejected:
            return none, []
        bad = violations.rejected_rows(batch.num_rows)
        details: dict[int, list[dict[str, Any]]] = {}
        for one in violations.describe(len(violations)):
            if bad[one.row]:
                details.setdefault(one.row, []).append(describe(one))
        return bad, [_refused(row, of_row) for row, of_row in sorted(details.items())]

    def _score_rows(self, batch: pa.RecordBatch, places: NDArray[np.int64]) -> ScoredBatch:
        """Score rows of which some have no valid answer, each by itself."""
        requests = [PredictRequest(row, _IDENTITY) for row in batch.to_pylist()]
        outcomes = self._runtime.predict_rows(self._route, requests)
        answers = [one for one in outcomes if isinstance(one, Prediction)]
        is_answered = np.array([isinstance(one, Prediction) for one in outcomes])
        columns = {
            spec.name: _stacked([one.outputs[spec.name] for one in answers]) for spec in self._specs
        }
        refusals = [
            RowRefusal(int(place), one.code, str(one), one.details)
            for place, one in zip(places, outcomes, strict=True)
            if isinstance(one, GnomonError)
        ]
        return ScoredBatch(places[is_answered], self._outputs(columns), refusals)

    def _outputs(self, columns: Mapping[str, Any]) -> pa.RecordBatch:
        arrays = [
            _arrow(columns[field.name], field.type) if columns else pa.array([], field.type)
            for field in self.schema
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def output_schema(specs: Sequence[TensorSpec]) -> pa.Schema:
    """Return the columns of a package's outputs; a vector is a list of fixed length."""
    return pa.schema([(spec.name, _type(spec)) for spec in specs])


def _type(spec: TensorSpec) -> pa.DataType:
    known = ELEMENT_TYPES.get(spec.datatype)
    kind = pa.string() if known is None else pa.from_numpy_dtype(np.dtype(known))
    inner = spec.shape[1:]
    return kind if inner in ((), (1,)) else pa.list_(kind, int(np.prod(inner)))


def _arrow(values: Any, kind: pa.DataType) -> pa.Array:
    if pa.types.is_fixed_size_list(kind):
        flat = np.ascontiguousarray(values).reshape(-1)
        return pa.FixedSizeListArray.from_arrays(pa.array(flat, kind.value_type), kind.list_size)
    return pa.array(values, kind)


def _stacked(values: list[Any]) -> Any:
    return values if not values or isinstance(values[0], str) else np.array(values)


def _refused(row: int, details: list[dict[str, Any]]) -> RowRefusal:
    first = details[0]
    where = f"field {first['field']!r}: " if first["field"] else ""
    message = f"{where}{first['value']!r} breaks {first['rule']!r}; right would be "
    return RowRefusal(row, InvalidInput.code, message + str(first["expected"]), details)

"""A route's fallbacks at work: each answers in the stead of a target, or leaves it to the next."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gnomon.core.contract.violations import Violation
from gnomon.core.expression import ExpressionError, Formula
from gnomon.core.fields import Field
from gnomon.core.row import Columns, Row
from gnomon.runtime.errors import ConfigurationError, PackageError
from gnomon.runtime.models.model import Model
from gnomon.runtime.models.outputs import repair_columns, repair_row
from gnomon.runtime.models.results import ColumnsResult, ModelAnswer, RowResult
from gnomon.runtime.routing.fallbacks import (
    ConstantFallback,
    Fallback,
    PackageFallback,
    RuleFallback,
    declared_fallbacks,
)


@dataclass(frozen=True, slots=True)
class FallbackResult:
    """An answer in a target's stead: values, or arrays, by output; what was corrected in it.

    `model` is the package whose outputs these are; `by` is who answered: `name@version` of another
    package, "rule" or "constant".
    """

    by: str
    model: Model
    outputs: dict[str, Any]
    violations: tuple[Violation, ...] = ()


class FallbackHandler(Protocol):
    """One link of a chain, bound to the target that it answers for. Threads may share it."""

    def row(self, row: Mapping[str, Any], inputs: Row) -> FallbackResult | None:
        """Answer one row, as given and as the target checked it; None: it has no answer either."""

    def columns(self, columns: Mapping[str, Any], inputs: Columns) -> FallbackResult | None:
        """Answer many rows; None if one of them has no answer."""


def bind_fallbacks(
    chain: tuple[Fallback, ...], target: Model, models: Mapping[str, Model]
) -> list[FallbackHandler]:
    """Return the chain at work for one target; a link that is the target itself falls away.

    Raises:
        ConfigurationError: a rule or constants do not fit the target's contract.
    """
    bound: list[FallbackHandler] = []
    for fallback in chain:
        if isinstance(fallback, PackageFallback):
            if fallback.digest != target.digest:
                bound.append(_PackageHandler(models[fallback.digest]))
        elif isinstance(fallback, RuleFallback):
            bound.append(_RuleHandler(target, fallback))
        else:
            bound.append(_ConstantHandler(target, fallback))
    return bound


def check_declared(model: Model) -> None:
    """Check the fallbacks that a package brings along for itself.

    Raises:
        PackageError: one does not fit the package's contracts.
    """
    try:
        bind_fallbacks(declared_fallbacks(model.deployment), model, {})
    except ConfigurationError as error:
        raise PackageError(str(error)) from error


class _PackageHandler:
    def __init__(self, model: Model) -> None:
        self._model = model

    def row(self, row: Mapping[str, Any], inputs: Row) -> FallbackResult | None:
        scratch = self._model.acquire()
        try:
            return self._result(self._model.answer_row(row, scratch))
        finally:
            self._model.release(scratch)

    def columns(self, columns: Mapping[str, Any], inputs: Columns) -> FallbackResult | None:
        return self._result(self._model.answer_columns(columns))

    def _result(self, result: RowResult | ColumnsResult) -> FallbackResult | None:
        if not isinstance(result, ModelAnswer):
            return None
        found = (*_described(result.violations), *_described(result.output_violations))
        return FallbackResult(self._model.reference, self._model, result.outputs, found)


class _CheckedHandler:
    """Answers that were not made by a model go through the target's contract all the same."""

    def __init__(self, by: str, target: Model) -> None:
        self._by = by
        self._target = target
        self._fields = target.outputs.fields

    def _check_names(self, given: Mapping[str, Any]) -> None:
        names = [field.name for field in self._fields]
        if sorted(given) != sorted(names):
            raise ConfigurationError(
                f"the {self._by} behind {self._target.reference} gives {sorted(given)}; expected "
                f"each of its outputs: {', '.join(names)}"
            )

    def _check_row(self, outputs: dict[str, Any]) -> FallbackResult | None:
        checked = self._target.outputs.new_row()
        wrong = self._target.outputs.check_row(outputs, checked)
        if wrong is not None:
            if wrong.rejected:
                return None
            repair_row(outputs, self._fields, checked)
        return FallbackResult(self._by, self._target, outputs, _described(wrong))

    def _check_columns(self, outputs: dict[str, NDArray[Any]]) -> FallbackResult | None:
        checked, wrong = self._target.outputs.check_columns(outputs)
        if wrong is not None:
            if wrong.rejected:
                return None
            repair_columns(outputs, self._fields, checked)
        return FallbackResult(self._by, self._target, outputs, _described(wrong))


class _RuleHandler(_CheckedHandler):
    def __init__(self, target: Model, rule: RuleFallback) -> None:
        super().__init__("rule", target)
        self._check_names(rule.outputs)
        try:
            self._programs = [
                (field, Formula(rule.outputs[field.name], target.inputs.fields).compile())
                for field in map(_countable, self._fields)
            ]
        except ExpressionError as error:
            raise ConfigurationError(f"the rule behind {target.reference}: {error}") from error

    def row(self, row: Mapping[str, Any], inputs: Row) -> FallbackResult | None:
        outputs: dict[str, Any] = {}
        for field, program in self._programs:
            number = float(program.evaluate_row(inputs.values))
            if not np.isfinite(number):
                return None
            outputs[field.name] = round(number) if field.kind.is_integer else number
        return self._check_row(outputs)

    def columns(self, columns: Mapping[str, Any], inputs: Columns) -> FallbackResult | None:
        outputs: dict[str, NDArray[Any]] = {}
        for field, program in self._programs:
            numbers = program.evaluate_columns(inputs)
            if field.kind.is_integer:
                least, greatest = field.kind.integer_range
                numbers = np.rint(numbers)
                numbers[(numbers < least) | (numbers > greatest)] = np.nan
            if not np.isfinite(numbers).all():
                return None
            outputs[field.name] = numbers.astype(field.kind.value)
        return self._check_columns(outputs)


class _ConstantHandler(_CheckedHandler):
    def __init__(self, target: Model, constant: ConstantFallback) -> None:
        super().__init__("constant", target)
        self._check_names(constant.outputs)
        self._outputs = dict(constant.outputs)
        wrong = target.outputs.check_row(self._outputs, target.outputs.new_row())
        if wrong is not None:
            raise ConfigurationError(
                f"the constant behind {target.reference} breaks the contract of its outputs: "
                f"{'; '.join(map(str, wrong.describe(3)))}"
            )

    def row(self, row: Mapping[str, Any], inputs: Row) -> FallbackResult | None:
        return self._check_row(dict(self._outputs))

    def columns(self, columns: Mapping[str, Any], inputs: Columns) -> FallbackResult | None:
        return self._check_columns(
            {
                field.name: _repeated(field, self._outputs[field.name], len(inputs))
                for field in self._fields
            }
        )


def _countable(field: Field) -> Field:
    """Return the field; raises if its values are not numbers."""
    if not field.kind.is_number:
        raise ConfigurationError(
            f"output {field.name!r} is {field.kind.value}; a rule gives numbers, so only a "
            "constant or a package can replace it"
        )
    return field


def _repeated(field: Field, value: Any, rows: int) -> NDArray[Any]:
    if field.kind.is_text:
        return np.array([value] * rows, dtype=object)
    dtype = np.float32 if field.kind.is_vector else field.kind.value
    return np.array([value] * rows, dtype=dtype)


def _described(violations: Any) -> tuple[Violation, ...]:
    return () if violations is None else tuple(violations.describe())

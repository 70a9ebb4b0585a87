"""Fields of a PMML document, as clients send them and as a model sees them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from gnomon.core.fields import Kind
from gnomon.pipeline.pmml.document import children, number, refuse, require
from gnomon.pipeline.pmml.graph import Graph
from gnomon.runtime.errors import PackageError

__all__ = ["DataField", "Scope", "Value", "mine", "read_dictionary"]

_NUMBERS = {"integer": Kind.INT64, "float": Kind.FLOAT64, "double": Kind.FLOAT64}


@dataclass(frozen=True, slots=True)
class Value:
    """A column in the graph; `categories` are the texts of its codes; None for numbers."""

    tensor: str
    categories: tuple[str, ...] | None = None

    def code(self, text: str) -> float:
        """Return the number of a value in a column; NaN for an unknown category.

        Raises:
            PackageError: a number is expected.
        """
        if self.categories is not None:
            return float(self.categories.index(text)) if text in self.categories else math.nan
        try:
            return {"true": 1.0, "false": 0.0}[text] if text in ("true", "false") else float(text)
        except ValueError as error:
            raise PackageError(f"PMML: {text[:80]!r} should be a number") from error


#: What may be referred to, by name.
Scope = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class DataField:
    """One field of the data dictionary."""

    name: str
    categories: tuple[str, ...] | None
    attributes: Mapping[str, Any]


def read_dictionary(root: Element) -> dict[str, DataField]:
    """Return the fields of the data dictionary by name."""
    dictionary = root.find("DataDictionary")
    if dictionary is None:
        raise PackageError("PMML: there is no DataDictionary")
    fields = (_read_field(one) for one in children(dictionary) if one.tag != "Taxonomy")
    return {field.name: field for field in fields}


def _read_field(element: Element) -> DataField:
    if element.tag != "DataField":
        refuse(element)
    name, kind = require(element, "name"), require(element, "dataType")
    values = [
        require(one, "value")
        for one in element.findall("Value")
        if one.get("property", "valid") == "valid"
    ]
    is_continuous = require(element, "optype") == "continuous"
    for one in element.findall("Value"):
        kept = one.get("property", "valid")
        if kept == "missing" or is_continuous:
            refuse(one, f"a value of {name!r} that is {kept}")
    if kind == "boolean":
        return DataField(name, None, {"kind": Kind.BOOL})
    if is_continuous or (kind in _NUMBERS and not values):
        if kind not in _NUMBERS:
            refuse(element, "a continuous field is an integer, a float or a double")
        return DataField(name, None, {"kind": _NUMBERS[kind], **_range(element)})
    if not values:
        refuse(element, "a category needs its values")
    if kind in _NUMBERS:
        return DataField(name, None, {"kind": _NUMBERS[kind], "allowed": _numbers(values, kind)})
    if kind != "string":
        refuse(element, "a category is of texts or numbers")
    return DataField(name, tuple(values), {"kind": Kind.CATEGORY, "allowed": tuple(values)})


def _numbers(values: list[str], kind: str) -> tuple[Any, ...]:
    return tuple(int(float(value)) if kind == "integer" else float(value) for value in values)


def _range(element: Element) -> dict[str, float]:
    """Return the bounds of the intervals; the gaps between several are not checked."""
    intervals = element.findall("Interval")
    if not intervals:
        return {}
    low = min(number(one, "leftMargin", -math.inf) for one in intervals)
    high = max(number(one, "rightMargin", math.inf) for one in intervals)
    bounds = {"minimum": low, "maximum": high}
    return {key: value for key, value in bounds.items() if math.isfinite(value)}


def mine(graph: Graph, schema: Element, scope: Scope) -> dict[str, Value]:
    """Return what a model sees of the fields in scope, by its mining schema."""
    seen: dict[str, Value] = {}
    for field in children(schema):
        if field.tag != "MiningField":
            refuse(field)
        name = require(field, "name")
        usage = field.get("usageType", "active")
        if usage in ("target", "predicted", "supplementary", "analysisWeight", "frequencyWeight"):
            continue
        if usage not in ("active", "order", "group"):
            refuse(field, f"usageType {usage!r}")
        if name not in scope:
            raise PackageError(f"PMML: MiningField {name!r} is no field of the data dictionary")
        seen[name] = _treat(graph, field, scope[name])
    return seen


def _treat(graph: Graph, field: Element, value: Value) -> Value:
    if field.get("invalidValueTreatment", "returnInvalid") == "asValue":
        refuse(field, "invalidValueTreatment 'asValue'")
    tensor = value.tensor
    outliers = field.get("outliers", "asIs")
    if outliers != "asIs":
        low, high = (graph.number(number(field, f"{side}Value")) for side in ("low", "high"))
        outside = graph.add(
            "Or", graph.add("Less", tensor, low), graph.add("Greater", tensor, high)
        )
        clipped = graph.add("Min", graph.add("Max", tensor, low), high)
        missing = graph.number(math.nan)
        tensor = graph.where(outside, clipped if outliers == "asExtremeValues" else missing, tensor)
    replacement = field.get("missingValueReplacement")
    if replacement is not None:
        code = graph.number(value.code(replacement))
        tensor = graph.where(graph.is_missing(tensor), code, tensor)
    return Value(tensor, value.categories)

"""Derived fields: transformations as ONNX operators. A missing operand makes the result missing."""

import math
from collections.abc import Callable
from itertools import pairwise
from xml.etree.ElementTree import Element

from gnomon.pipeline.pmml.document import children, number, refuse, require
from gnomon.pipeline.pmml.fields import Scope, Value
from gnomon.pipeline.pmml.graph import Graph
from gnomon.runtime.errors import PackageError

__all__ = ["derive", "expression", "look_up"]

_BINARY = {"+": "Add", "-": "Sub", "*": "Mul", "/": "Div", "pow": "Pow"}
_UNARY = {
    "exp": "Exp",
    "ln": "Log",
    "sqrt": "Sqrt",
    "abs": "Abs",
    "floor": "Floor",
    "ceil": "Ceil",
    "sin": "Sin",
    "cos": "Cos",
    "tan": "Tan",
    "tanh": "Tanh",
}
_COMPARED = {
    "equal": "Equal",
    "lessThan": "Less",
    "lessOrEqual": "LessOrEqual",
    "greaterThan": "Greater",
    "greaterOrEqual": "GreaterOrEqual",
}
_MANY = {"min": "Min", "max": "Max", "sum": "Add"}


def derive(graph: Graph, elements: Element | None, scope: Scope) -> dict[str, Value]:
    """Return the scope with the derived fields of a dictionary or of a model."""
    known = dict(scope)
    for field in children(elements) if elements is not None else ():
        if field.tag != "DerivedField":
            refuse(field)
        (body,) = [one for one in children(field) if one.tag not in ("Value", "Interval")]
        known[require(field, "name")] = expression(graph, body, known)
    return known


def look_up(scope: Scope, name: str) -> Value:
    """Return a field in scope; raises PackageError."""
    if name not in scope:
        raise PackageError(f"PMML: {name!r} is no field here; there are {', '.join(scope)}")
    return scope[name]


def expression(graph: Graph, element: Element, scope: Scope) -> Value:
    """Return the column of an expression.

    Raises:
        PackageError: it cannot be compiled; the message names the element.
    """
    compiled = _COMPILED.get(element.tag)
    if compiled is None:
        refuse(element)
    return compiled(graph, element, scope)


def _field(graph: Graph, element: Element, scope: Scope) -> Value:
    value = look_up(scope, require(element, "field"))
    instead = element.get("mapMissingTo")
    if instead is None:
        return value
    code = graph.number(value.code(instead))
    tensor = graph.where(graph.is_missing(value.tensor), code, value.tensor)
    return Value(tensor, value.categories)


def _constant(graph: Graph, element: Element, _scope: Scope) -> Value:
    if element.get("missing") == "true":
        return Value(graph.number(math.nan))
    return Value(graph.number(Value("").code((element.text or "").strip())))


def _norm_discrete(graph: Graph, element: Element, scope: Scope) -> Value:
    value = look_up(scope, require(element, "field"))
    code = graph.number(value.code(require(element, "value")))
    found = graph.real(graph.add("Equal", value.tensor, code))
    instead = graph.number(number(element, "mapMissingTo", math.nan))
    return Value(graph.where(graph.is_missing(value.tensor), instead, found))


def _norm_continuous(graph: Graph, element: Element, scope: Scope) -> Value:
    """Interpolate between the points; beyond them extrapolate, clamp, or give missing."""
    column = look_up(scope, require(element, "field")).tensor
    points = [(number(one, "orig"), number(one, "norm")) for one in element.findall("LinearNorm")]
    outliers = element.get("outliers", "asIs")
    if len(points) < 2 or outliers not in ("asIs", "asExtremeValues", "asMissingValues"):
        refuse(element)
    lines = []
    for (start, low), (end, high) in pairwise(points):
        slope = graph.number((high - low) / (end - start))
        offset = graph.add("Sub", column, graph.number(start))
        line = graph.add("Add", graph.add("Mul", offset, slope), graph.number(low))
        lines.append((start, line))
    found = lines[0][1]
    for start, line in lines[1:]:
        found = graph.where(graph.add("Less", column, graph.number(start)), found, line)
    if outliers != "asIs":
        beyond = [points[0][1], points[-1][1]] if outliers == "asExtremeValues" else [math.nan] * 2
        below = graph.add("Less", column, graph.number(points[0][0]))
        above = graph.add("Greater", column, graph.number(points[-1][0]))
        found = graph.where(below, graph.number(beyond[0]), found)
        found = graph.where(above, graph.number(beyond[1]), found)
    instead = element.get("mapMissingTo")
    if instead is not None:
        found = graph.where(graph.is_missing(column), graph.number(float(instead)), found)
    return Value(found)


def _apply(graph: Graph, element: Element, scope: Scope) -> Value:
    name = require(element, "function")
    if (
        "invalidValueTreatment" in element.attrib
        and element.get("invalidValueTreatment") != "returnInvalid"
    ):
        refuse(element)
    parts = list(children(element))
    if name in ("isMissing", "isNotMissing"):
        missing = graph.is_missing(expression(graph, parts[0], scope).tensor)
        return Value(graph.real(missing if name == "isMissing" else graph.add("Not", missing)))
    if name == "equal" or name == "notEqual":
        tensors = _compared(graph, parts, scope)
    else:
        values = [expression(graph, part, scope) for part in parts]
        if any(value.categories is not None for value in values):
            refuse(element, "it is applied to texts")
        tensors = [value.tensor for value in values]
    found = _call(graph, element, name, tensors)
    for attribute, over in (("defaultValue", found), ("mapMissingTo", None)):
        instead = element.get(attribute)
        if instead is not None:
            missing = graph.is_missing(over or graph.total(tensors))
            found = graph.where(missing, graph.number(float(instead)), found)
    return Value(found)


def _compared(graph: Graph, parts: list[Element], scope: Scope) -> list[str]:
    """Return both sides of an equation, of which one may be a text."""
    fields = [part for part in parts if part.tag == "FieldRef"]
    texts = [part for part in parts if part.tag == "Constant"]
    if len(fields) == 1 and len(texts) == 1:
        value = expression(graph, fields[0], scope)
        return [value.tensor, graph.number(value.code((texts[0].text or "").strip()))]
    return [expression(graph, part, scope).tensor for part in parts]


def _call(graph: Graph, element: Element, name: str, tensors: list[str]) -> str:
    counts = {**dict.fromkeys(_UNARY, 1), **dict.fromkeys((*_BINARY, *_COMPARED, "notEqual"), 2)}
    if len(tensors) != counts.get(name, len(tensors)) or not tensors:
        refuse(element, f"{len(tensors)} arguments")
    if name in _UNARY:
        return graph.add(_UNARY[name], *tensors)
    if name in _BINARY:
        return graph.add(_BINARY[name], *tensors)
    if name in _MANY:
        found = tensors[0]
        for tensor in tensors[1:]:
            found = graph.add(_MANY[name], found, tensor)
        return _unless_missing(graph, tensors, found)
    if name == "avg":
        return graph.add("Div", graph.total(tensors), graph.number(len(tensors)))
    if name == "log10":
        return graph.add("Div", graph.add("Log", tensors[0]), graph.number(math.log(10)))
    if name in _COMPARED or name == "notEqual":
        truth = graph.add(_COMPARED.get(name, "Equal"), *tensors)
        truth = graph.add("Not", truth) if name == "notEqual" else truth
        return _unless_missing(graph, tensors, graph.real(truth))
    if name == "not":
        return graph.add("Sub", graph.number(1.0), tensors[0])
    if name in ("and", "or") and len(tensors) > 1:
        return _call(graph, element, "min" if name == "and" else "max", tensors)
    if name == "if" and len(tensors) in (2, 3):
        other = tensors[2] if len(tensors) == 3 else graph.number(math.nan)
        chosen = graph.where(graph.add("Greater", tensors[0], graph.number(0.5)), tensors[1], other)
        return _unless_missing(graph, tensors[:1], chosen)
    refuse(element)


def _unless_missing(graph: Graph, tensors: list[str], found: str) -> str:
    missing = graph.is_missing(tensors[0])
    for tensor in tensors[1:]:
        missing = graph.add("Or", missing, graph.is_missing(tensor))
    return graph.where(missing, graph.number(math.nan), found)


_COMPILED: dict[str, Callable[[Graph, Element, Scope], Value]] = {
    "FieldRef": _field,
    "Constant": _constant,
    "NormDiscrete": _norm_discrete,
    "NormContinuous": _norm_continuous,
    "Apply": _apply,
}

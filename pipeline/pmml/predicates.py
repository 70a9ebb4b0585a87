"""Predicates: true, false, or unknown if a value is missing, as two boolean columns."""

from dataclasses import dataclass
from functools import reduce
from xml.etree.ElementTree import Element

from gnomon.pipeline.pmml.document import children, refuse, require
from gnomon.pipeline.pmml.expressions import look_up
from gnomon.pipeline.pmml.fields import Scope, Value
from gnomon.pipeline.pmml.graph import Graph

__all__ = ["PREDICATES", "Truth", "find_predicate", "predicate"]

PREDICATES = frozenset(
    {"True", "False", "SimplePredicate", "SimpleSetPredicate", "CompoundPredicate"}
)

_OPERATORS = {
    "equal": "Equal",
    "lessThan": "Less",
    "lessOrEqual": "LessOrEqual",
    "greaterThan": "Greater",
    "greaterOrEqual": "GreaterOrEqual",
}


@dataclass(frozen=True, slots=True)
class Truth:
    """The rows where a predicate is true, and those where it is false."""

    true: str
    false: str


def find_predicate(element: Element) -> Element:
    """Return an element's predicate; raises PackageError."""
    found = [child for child in element if child.tag in PREDICATES]
    if len(found) != 1:
        refuse(element, f"it has {len(found)} predicates")
    return found[0]


def predicate(graph: Graph, element: Element, scope: Scope) -> Truth:
    """Return the truth of a predicate over all rows, as columns."""
    if element.tag in ("True", "False"):
        constants = [graph.constant([[value]], "bool") for value in (True, False)]
        return Truth(*(constants if element.tag == "True" else constants[::-1]))
    if element.tag == "CompoundPredicate":
        parts = [predicate(graph, part, scope) for part in children(element)]
        return _combine(graph, element, parts)
    value = look_up(scope, require(element, "field"))
    missing = graph.is_missing(value.tensor)
    operator = element.get("operator", element.get("booleanOperator", ""))
    if operator == "isMissing":
        return Truth(missing, graph.add("Not", missing))
    if operator == "isNotMissing":
        return Truth(graph.add("Not", missing), missing)
    there = graph.add("Not", missing)
    is_negated = operator in ("notEqual", "isNotIn")
    found = _compare(graph, element, value, operator)
    opposite = graph.add("And", graph.add("Not", found), there)
    return Truth(opposite, found) if is_negated else Truth(found, opposite)


def _compare(graph: Graph, element: Element, value: Value, operator: str) -> str:
    """Return whether a value satisfies a condition, or violates it; false if it is missing."""
    if element.tag == "SimpleSetPredicate":
        if operator not in ("isIn", "isNotIn"):
            refuse(element)
        texts = _array(element)
        codes = [graph.number(value.code(text)) for text in texts]
        return reduce(
            lambda one, other: graph.add("Or", one, other),
            [graph.add("Equal", value.tensor, code) for code in codes],
        )
    if operator not in _OPERATORS and operator != "notEqual":
        refuse(element)
    if value.categories is not None and operator not in ("equal", "notEqual"):
        refuse(element, "categories have no order here")
    code = graph.number(value.code(require(element, "value")))
    return graph.add(_OPERATORS.get(operator, "Equal"), value.tensor, code)


def _array(element: Element) -> list[str]:
    """Return the texts of an array: separated by blanks, quoted if they contain some."""
    array = element.find("Array")
    if array is None:
        refuse(element, "it has no Array")
    texts, rest = [], (array.text or "").strip()
    while rest:
        if rest[0] == '"':
            end = rest.replace('\\"', "  ").find('"', 1)
            end = len(rest) if end < 0 else end
            texts.append(rest[1:end].replace('\\"', '"'))
            rest = rest[end + 1 :].strip()
        else:
            text, _, rest = rest.partition(" ")
            texts.append(text)
            rest = rest.strip()
    if not texts:
        refuse(element, "its Array is empty")
    return texts


def _combine(graph: Graph, element: Element, parts: list[Truth]) -> Truth:
    operator = require(element, "booleanOperator")

    def fold(kind: str, columns: list[str]) -> str:
        return reduce(lambda one, other: graph.add(kind, one, other), columns)

    if not parts:
        refuse(element, "it has no parts")
    true, false = [part.true for part in parts], [part.false for part in parts]
    if operator == "and":
        return Truth(fold("And", true), fold("Or", false))
    if operator == "or":
        return Truth(fold("Or", true), fold("And", false))
    if operator == "xor":
        known = fold("And", [graph.add("Or", part.true, part.false) for part in parts])
        odd = fold("Xor", true)
        return Truth(graph.add("And", known, odd), graph.add("And", known, graph.add("Not", odd)))
    if operator == "surrogate":
        chosen = parts[-1]
        for part in parts[-2::-1]:
            known = graph.add("Or", part.true, part.false)
            unknown = graph.add("Not", known)
            chosen = Truth(
                graph.add("Or", part.true, graph.add("And", unknown, chosen.true)),
                graph.add("Or", part.false, graph.add("And", unknown, chosen.false)),
            )
        return chosen
    refuse(element)

"""`RegressionModel`: sums of predictors, and link functions to probabilities."""

import math
from collections.abc import Callable, Sequence
from functools import reduce
from xml.etree.ElementTree import Element

from gnomon.pipeline.pmml.document import children, number, refuse, require
from gnomon.pipeline.pmml.expressions import look_up
from gnomon.pipeline.pmml.fields import Scope
from gnomon.pipeline.pmml.graph import Graph

__all__ = ["regress"]


def regress(
    graph: Graph, model: Element, scope: Scope, classes: tuple[str, ...]
) -> tuple[str, tuple[str, ...]]:
    """Return a column of numbers, or probabilities in the order of `classes`.

    Args:
        graph: the ONNX graph that is written.
        model: the element of the regression model.
        scope: the fields that it can see.
        classes: the classes; empty: a number is predicted.

    Raises:
        PackageError: a predictor or link cannot be compiled.
    """
    link = model.get("normalizationMethod", "none")
    tables = model.findall("RegressionTable")
    if model.get("functionName") == "regression":
        if len(tables) != 1:
            refuse(model, f"{len(tables)} tables for a regression")
        return _link(graph, model, link, _table(graph, tables[0], scope)), ()
    named = {require(table, "targetCategory"): table for table in tables}
    if set(named) != set(classes) or len(tables) != len(classes):
        refuse(model, f"it has tables for {', '.join(named)}, not for {', '.join(classes)}")
    sums = {name: _table(graph, table, scope) for name, table in named.items()}
    if link in ("softmax", "simplemax"):
        found = _shares(graph, link, [sums[name] for name in classes])
        return found, classes
    if len(classes) != 2:
        refuse(model, f"normalizationMethod {link!r} of {len(classes)} classes")
    # The first table's link gives its probability, the other class has the rest.
    first, second = named
    probability = _link(graph, model, link, sums[first])
    rest = graph.add("Sub", graph.number(1.0), probability)
    parts = {first: probability, second: rest}
    return graph.add("Concat", *(parts[name] for name in classes), axis=1), classes


def _shares(graph: Graph, link: str, sums: Sequence[str]) -> str:
    matrix = graph.add("Concat", *sums, axis=1)
    if link == "softmax":
        return graph.add("Softmax", matrix, axis=1)
    return graph.add("Div", matrix, graph.total(sums))


def _link(graph: Graph, model: Element, link: str, column: str) -> str:
    found = _LINKS.get(link)
    if found is None:
        refuse(model, f"normalizationMethod {link!r}")
    return found(graph, column)


def _logit(graph: Graph, column: str) -> str:
    return graph.add("Sigmoid", column)


def _probit(graph: Graph, column: str) -> str:
    # Erf exists for 32 bits only, which is precise enough for a probability.
    scaled = graph.add("Cast", graph.add("Mul", column, graph.number(1 / math.sqrt(2))), to=1)
    tail = graph.real(graph.add("Erf", scaled))
    return graph.add("Mul", graph.add("Add", tail, graph.number(1.0)), graph.number(0.5))


def _cloglog(graph: Graph, column: str) -> str:
    inner = graph.add("Exp", graph.add("Neg", graph.add("Exp", column)))
    return graph.add("Sub", graph.number(1.0), inner)


def _loglog(graph: Graph, column: str) -> str:
    return graph.add("Exp", graph.add("Neg", graph.add("Exp", graph.add("Neg", column))))


def _exp(graph: Graph, column: str) -> str:
    return graph.add("Exp", column)


_LINKS: dict[str, Callable[[Graph, str], str]] = {
    "none": lambda graph, column: column,
    "logit": _logit,
    "softmax": _logit,
    "exp": _exp,
    "probit": _probit,
    "cloglog": _cloglog,
    "loglog": _loglog,
}


def _table(graph: Graph, table: Element, scope: Scope) -> str:
    """Return a table's sum, for every row even if it is a constant."""
    parts = [graph.number(number(table, "intercept", 0.0))]
    for element in children(table):
        term = _TERMS.get(element.tag)
        if term is None:
            refuse(element)
        parts.append(term(graph, element, scope))
    return graph.add("Mul", graph.is_all_rows(), graph.total(parts))


def _numeric(graph: Graph, element: Element, scope: Scope) -> str:
    column = look_up(scope, require(element, "name")).tensor
    exponent = number(element, "exponent", 1.0)
    if exponent != 1.0:
        column = graph.add("Pow", column, graph.number(exponent))
    return graph.add("Mul", column, graph.number(number(element, "coefficient")))


def _categorical(graph: Graph, element: Element, scope: Scope) -> str:
    value = look_up(scope, require(element, "name"))
    code = graph.number(value.code(require(element, "value")))
    found = graph.real(graph.add("Equal", value.tensor, code))
    return graph.add("Mul", found, graph.number(number(element, "coefficient")))


def _product(graph: Graph, element: Element, scope: Scope) -> str:
    names = [require(one, "field") for one in element.findall("FieldRef")]
    if not names:
        refuse(element, "it has no FieldRef")
    columns = [look_up(scope, name).tensor for name in names]
    product = reduce(lambda one, other: graph.add("Mul", one, other), columns)
    return graph.add("Mul", product, graph.number(number(element, "coefficient")))


_TERMS: dict[str, Callable[[Graph, Element, Scope], str]] = {
    "NumericPredictor": _numeric,
    "CategoricalPredictor": _categorical,
    "PredictorTerm": _product,
}

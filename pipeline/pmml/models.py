"""Compiles models to ONNX: regressions, trees, scorecards, and combinations of them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from gnomon.pipeline.pmml.document import children, number, refuse, require
from gnomon.pipeline.pmml.expressions import derive
from gnomon.pipeline.pmml.fields import Scope, Value, mine
from gnomon.pipeline.pmml.graph import Graph
from gnomon.pipeline.pmml.predicates import find_predicate, predicate
from gnomon.pipeline.pmml.regression import regress
from gnomon.pipeline.pmml.scores import distribution, score_of, vote
from gnomon.pipeline.pmml.trees import Forest
from gnomon.runtime.errors import PackageError

__all__ = ["MODELS", "PmmlPrediction", "compile_model"]


@dataclass(frozen=True, slots=True)
class PmmlPrediction:
    """A model's answer: a column of numbers, or probabilities `(rows, classes)` of the classes."""

    tensor: str
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """The context that a model is compiled in; `classes` are those of the target."""

    graph: Graph
    scope: Scope
    classes: tuple[str, ...]


def compile_model(model: Element, context: Context) -> PmmlPrediction:
    """Return what a model predicts.

    Raises:
        PackageError: something of it cannot be compiled; the message names the element.
    """
    compiled = MODELS.get(model.tag)
    if compiled is None:
        refuse(model)
    if model.get("isScorable") == "false":
        refuse(model, "isScorable is false")
    function = require(model, "functionName")
    if function not in ("regression", "classification"):
        refuse(model, f"functionName {function!r}")
    context = Context(context.graph, scope_of(model, context), context.classes)
    prediction = compiled(model, context)
    return _rescale(context.graph, model, prediction)


def scope_of(model: Element, context: Context) -> Scope:
    """Return a model's scope: the fields of its mining schema, and those derived from them."""
    schema = model.find("MiningSchema")
    if schema is None:
        refuse(model, "it has no MiningSchema")
    seen = {**context.scope, **mine(context.graph, schema, context.scope)}
    return derive(context.graph, model.find("LocalTransformations"), seen)


def is_classification(model: Element) -> bool:
    """Whether a model predicts a class."""
    return model.get("functionName") == "classification"


def _tree(model: Element, context: Context) -> PmmlPrediction:
    if not is_classification(model):
        forest = Forest(context.graph, 1)
        forest.add(model, context.scope, score_of)
        return PmmlPrediction(forest.finish())
    classes = context.classes
    forest = Forest(context.graph, len(classes))
    forest.add(model, context.scope, lambda node: distribution(node, classes))
    return PmmlPrediction(forest.finish(), classes)


def _regression(model: Element, context: Context) -> PmmlPrediction:
    found, classes = regress(context.graph, model, context.scope, context.classes)
    return PmmlPrediction(found, classes)


def _scorecard(model: Element, context: Context) -> PmmlPrediction:
    """Add up the partial score of the first attribute that is true, for each characteristic."""
    graph = context.graph
    parts = [graph.number(number(model, "initialScore", 0.0))]
    for one in model.findall("Characteristics/Characteristic"):
        score = graph.number(math.nan)
        for attribute in reversed(one.findall("Attribute")):
            if attribute.find("ComplexPartialScore") is not None:
                refuse(attribute, "ComplexPartialScore")
            truth = predicate(graph, find_predicate(attribute), context.scope)
            own = graph.number(number(attribute, "partialScore"))
            score = graph.where(truth.true, own, score)
        parts.append(score)
    every = graph.add("Mul", graph.is_all_rows(), graph.total(parts))
    return PmmlPrediction(every)


def _mining(model: Element, context: Context) -> PmmlPrediction:
    segmentation = model.find("Segmentation")
    if segmentation is None:
        refuse(model, "it has no Segmentation")
    method = require(segmentation, "multipleModelMethod")
    if segmentation.get("missingPredictionTreatment") == "skipSegment":
        refuse(segmentation, "missingPredictionTreatment 'skipSegment'")
    segments = [_Segment.read(one) for one in children(segmentation)]
    if not segments:
        refuse(segmentation, "it has no segments")
    if method == "modelChain":
        return _chain(segments, context)
    if method == "selectFirst":
        return _select_first(segments, context)
    if method in ("sum", "average", "weightedAverage", "majorityVote", "weightedMajorityVote"):
        return _together(model, method, segments, context)
    refuse(segmentation, f"multipleModelMethod {method!r}")


@dataclass(frozen=True, slots=True)
class _Segment:
    """A part of a mining model: its predicate, its model, its weight."""

    element: Element
    predicate: Element
    model: Element
    weight: float

    @classmethod
    def read(cls, element: Element) -> "_Segment":
        if element.tag != "Segment":
            refuse(element)
        models = [child for child in element if child.tag.endswith("Model") or child.tag in MODELS]
        if len(models) != 1:
            refuse(element, f"it has {len(models)} models")
        return cls(element, find_predicate(element), models[0], number(element, "weight", 1.0))

    def require_true(self) -> None:
        if self.predicate.tag != "True":
            refuse(self.predicate, "segments of this method must always apply")


def _chain(segments: Sequence[_Segment], context: Context) -> PmmlPrediction:
    """Give each model the outputs of those before it; the last one's answer counts."""
    scope = dict(context.scope)
    found = None
    for segment in segments:
        segment.require_true()
        inner = Context(context.graph, scope, context.classes)
        found = compile_model(segment.model, inner)
        for name, value in outputs_of(context.graph, segment.model, found).items():
            scope[name] = value
    if found is None:
        raise PackageError("PMML: a chain needs a model")
    return found


def outputs_of(graph: Graph, model: Element, found: PmmlPrediction) -> dict[str, Value]:
    """Return the output fields that a later model may use."""
    values: dict[str, Value] = {}
    output = model.find("Output")
    for field in children(output) if output is not None else ():
        feature = field.get("feature", "predictedValue")
        if feature == "predictedValue" and not found.classes:
            values[require(field, "name")] = Value(found.tensor)
        elif feature == "probability" and field.get("value") in found.classes:
            index = found.classes.index(require(field, "value"))
            values[require(field, "name")] = Value(graph.column(found.tensor, index))
        elif feature == "transformedValue" and not found.classes:
            (body,) = list(children(field))
            wrapped = Element("TransformationDictionary")
            derived = Element("DerivedField", {"name": require(field, "name")})
            derived.append(body)
            wrapped.append(derived)
            values |= derive(graph, wrapped, values)
    return values


def _select_first(segments: Sequence[_Segment], context: Context) -> PmmlPrediction:
    graph = context.graph
    answers = [compile_model(segment.model, context) for segment in segments]
    if len({answer.classes for answer in answers}) != 1:
        refuse(segments[0].element, "its models predict different classes")
    found = graph.number(math.nan)
    for segment, answer in reversed(list(zip(segments, answers, strict=True))):
        truth = predicate(graph, segment.predicate, context.scope)
        found = graph.where(truth.true, answer.tensor, found)
    return PmmlPrediction(found, answers[0].classes)


def _together(
    model: Element, method: str, segments: Sequence[_Segment], context: Context
) -> PmmlPrediction:
    """Sum the predictions of all models; trees become one ensemble."""
    graph, classes = context.graph, context.classes if is_classification(model) else ()
    for segment in segments:
        segment.require_true()
    is_vote = method.endswith("Vote")
    if (is_vote and not classes) or (method == "sum" and classes):
        refuse(model, f"{method} of {model.get('functionName')}")
    is_weighted = method.startswith("weighted")
    weights = [segment.weight if is_weighted else 1.0 for segment in segments]
    trees = all(segment.model.tag == "TreeModel" for segment in segments)
    if trees:
        forest = Forest(graph, len(classes) or 1)
        for segment, weight in zip(segments, weights, strict=True):
            tree = segment.model
            scores = _scores(classes, is_vote, weight)
            forest.add(tree, scope_of(tree, context), scores)
        total = forest.finish()
    elif is_vote:
        refuse(model, "votes of other models than trees")
    else:
        parts = [compile_model(segment.model, context) for segment in segments]
        if any(part.classes != classes for part in parts):
            refuse(model, "its models predict different classes")
        total = graph.total(
            [
                graph.add("Mul", part.tensor, graph.number(weight))
                for part, weight in zip(parts, weights, strict=True)
            ]
        )
    if method != "sum":
        total = graph.add("Div", total, graph.number(math.fsum(weights)))
    return PmmlPrediction(total, classes)


def _scores(
    classes: tuple[str, ...], is_vote: bool, weight: float
) -> Callable[[Element], Sequence[float]]:
    def scores(node: Element) -> Sequence[float]:
        if not classes:
            found: Sequence[float] = score_of(node)
        elif is_vote:
            found = vote(node, classes)
        else:
            found = distribution(node, classes)
        return [weight * one for one in found]

    return scores


def _rescale(graph: Graph, model: Element, found: PmmlPrediction) -> PmmlPrediction:
    """Apply what `Targets` says of a number."""
    targets = model.findall("Targets/Target")
    if not targets or found.classes:
        return found
    (target,) = targets
    if target.get("castInteger") not in (None, "round", "ceiling", "floor"):
        refuse(target)
    tensor = found.tensor
    if target.find("TargetValue") is not None:
        refuse(target, "TargetValue")
    for attribute, operator in (("min", "Max"), ("max", "Min")):
        if attribute in target.attrib:
            tensor = graph.add(operator, tensor, graph.number(number(target, attribute)))
    tensor = graph.add("Mul", tensor, graph.number(number(target, "rescaleFactor", 1.0)))
    tensor = graph.add("Add", tensor, graph.number(number(target, "rescaleConstant", 0.0)))
    cast = {"round": "Round", "ceiling": "Ceil", "floor": "Floor"}.get(
        target.get("castInteger", "")
    )
    return PmmlPrediction(graph.add(cast, tensor) if cast else tensor)


MODELS: dict[str, Callable[[Element, Context], PmmlPrediction]] = {
    "RegressionModel": _regression,
    "TreeModel": _tree,
    "Scorecard": _scorecard,
    "MiningModel": _mining,
}

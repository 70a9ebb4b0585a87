"""Compiles a PMML document to an ONNX model, with its fields and recorded rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from onnx import TensorProto

from gnomon.core.fields import Kind
from gnomon.pipeline.pmml.document import children, number, parse, refuse, require
from gnomon.pipeline.pmml.expressions import derive
from gnomon.pipeline.pmml.fields import DataField, Value, read_dictionary
from gnomon.pipeline.pmml.graph import Graph
from gnomon.pipeline.pmml.models import MODELS, Context, compile_model
from gnomon.pipeline.pmml.scores import write_classes_alike
from gnomon.runtime.errors import PackageError

__all__ = [
    "INPUT",
    "LABEL",
    "NUMBER",
    "PROBABILITIES",
    "CompiledModel",
    "Verification",
    "compile_pmml",
]

INPUT, NUMBER, PROBABILITIES, LABEL = "input", "number", "probabilities", "label"


@dataclass(frozen=True, slots=True)
class Verification:
    """Recorded rows with the recorded answers; a number agrees within either tolerance."""

    rows: tuple[Mapping[str, str], ...]
    expected: tuple[Mapping[str, str], ...]
    precision: float
    zero: float


@dataclass(frozen=True, slots=True)
class CompiledModel:
    """The ONNX model, its inputs and its outputs.

    `inputs` has each field's attributes by name, in the order of the columns of `INPUT`. A
    regression gives `NUMBER`; a classification `PROBABILITIES` in the order of `classes`, and
    `LABEL`, the position of the likeliest. `output` is what the document calls its answer.
    """

    content: bytes
    inputs: Mapping[str, Mapping[str, Any]]
    classes: tuple[str, ...]
    output: str
    verification: Verification | None


def compile_pmml(data: bytes) -> CompiledModel:
    """Compile a PMML document.

    Raises:
        PackageError: it is no PMML, or something in it cannot be said in ONNX; the message names
            the element.
    """
    root = parse(data)
    model = _find_model(root)
    dictionary = read_dictionary(root)
    schema = model.find("MiningSchema")
    if schema is None:
        refuse(model, "it has no MiningSchema")
    target = _target(schema, dictionary)
    names = _actives(schema, dictionary)
    graph = Graph()
    scope = {
        name: Value(graph.column(INPUT, index), dictionary[name].categories)
        for index, name in enumerate(names)
    }
    scope = derive(graph, root.find("TransformationDictionary"), scope)
    classes = _classes(model, target)
    if target is not None and target.categories is None:
        write_classes_alike(model, classes)
    found = compile_model(model, Context(graph, scope, classes))
    outputs: dict[str, tuple[int, int]]
    if found.classes:
        graph.name(graph.add("Cast", found.tensor, to=TensorProto.FLOAT), PROBABILITIES)
        graph.name(graph.add("ArgMax", found.tensor, axis=1, keepdims=1), LABEL)
        outputs = {
            PROBABILITIES: (TensorProto.FLOAT, len(found.classes)),
            LABEL: (TensorProto.INT64, 1),
        }
    else:
        graph.name(found.tensor, NUMBER)
        outputs = {NUMBER: (TensorProto.DOUBLE, 1)}
    return CompiledModel(
        content=graph.to_bytes(len(names), outputs),
        inputs={name: _attributes(dictionary[name], schema) for name in names},
        classes=found.classes,
        output=target.name if target else "prediction",
        verification=_verification(model),
    )


def _find_model(root: Element) -> Element:
    known = ("DataDictionary", "TransformationDictionary")
    models = [one for one in children(root) if one.tag not in known]
    if len(models) != 1:
        raise PackageError(f"PMML: it holds {len(models)} models, expected one")
    if models[0].tag not in MODELS:
        refuse(models[0])
    return models[0]


def _target(schema: Element, dictionary: Mapping[str, DataField]) -> DataField | None:
    for field in schema.findall("MiningField"):
        if field.get("usageType") in ("target", "predicted"):
            return dictionary.get(require(field, "name"))
    return None


def _actives(schema: Element, dictionary: Mapping[str, DataField]) -> list[str]:
    names = [
        require(field, "name")
        for field in schema.findall("MiningField")
        if field.get("usageType", "active") == "active"
    ]
    if not names or any(name not in dictionary for name in names):
        raise PackageError(f"PMML: the active fields {names} should all be in the DataDictionary")
    return names


def _classes(model: Element, target: DataField | None) -> tuple[str, ...]:
    """Return the values of the target, which a model's own classes are compared with."""
    if model.get("functionName") != "classification":
        # A regression may have parts that predict classes of another target: those are refused.
        return ()
    if target is not None and target.categories:
        return target.categories
    if target is not None and target.attributes.get("allowed"):
        return tuple(map(str, target.attributes["allowed"]))
    if target is not None and target.attributes.get("kind") is Kind.BOOL:
        return ("false", "true")
    refuse(model, "the values of its target are not in the DataDictionary")


def _attributes(field: DataField, schema: Element) -> dict[str, Any]:
    """Return a field's attributes; a field is nullable if the model handles missing values."""
    mined = next(one for one in schema.findall("MiningField") if one.get("name") == field.name)
    treatment = mined.get("invalidValueTreatment", "returnInvalid")
    attributes = dict(field.attributes)
    if mined.get("missingValueReplacement") is not None:
        attributes |= {"nullable": True}
    if mined.get("missingValueTreatment") == "returnInvalid":
        attributes |= {"nullable": False}
    if treatment == "asMissing" and field.categories is not None:
        attributes |= {"nullable": True, "policy": "flag"}
    if treatment == "asIs":
        attributes.pop("minimum", None)
        attributes.pop("maximum", None)
    return attributes


def _verification(model: Element) -> Verification | None:
    element = model.find("ModelVerification")
    table = element.find("InlineTable") if element is not None else None
    if element is None or table is None:
        return None
    fields = list(element.findall("VerificationFields/VerificationField"))
    columns = {one.get("column", require(one, "field")).rpartition(":")[2]: one for one in fields}
    inputs = {
        one.get("name")
        for one in model.findall("MiningSchema/MiningField")
        if one.get("usageType", "active") == "active"
    }
    rows, expected = [], []
    for row in _rows(table):
        texts = {columns[tag].get("field", ""): text for tag, text in row.items() if tag in columns}
        rows.append({name: text for name, text in texts.items() if name in inputs})
        expected.append({name: text for name, text in texts.items() if name not in inputs})
    return Verification(
        tuple(rows),
        tuple(expected),
        max((number(one, "precision", 1e-6) for one in fields), default=1e-6),
        max((number(one, "zeroThreshold", 1e-16) for one in fields), default=1e-16),
    )


def _rows(table: Element) -> Iterator[dict[str, str]]:
    for row in table.findall("row"):
        yield {cell.tag: (cell.text or "").strip() for cell in row}

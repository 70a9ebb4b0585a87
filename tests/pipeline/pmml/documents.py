"""PMML documents for tests: written around a model, or from fitted scikit-learn estimators."""

from xml.sax.saxutils import quoteattr

import numpy as np

DICTIONARY = """
<DataField name="x" optype="continuous" dataType="double"/>
<DataField name="y" optype="continuous" dataType="double"/>
<DataField name="c" optype="categorical" dataType="string">
  <Value value="red"/><Value value="green"/><Value value="dark blue"/>
</DataField>
"""
SCHEMA = '<MiningField name="x"/><MiningField name="y"/><MiningField name="c"/>'


def document(model, dictionary=DICTIONARY, target="", transformations="", version="4.4"):
    return f"""<?xml version="1.0"?>
<PMML xmlns="http://www.dmg.org/PMML-4_4" version="{version}"><Header/>
<DataDictionary>{dictionary}{target}</DataDictionary>
<TransformationDictionary>{transformations}</TransformationDictionary>
{model}</PMML>""".encode()


def numbers(count):
    """Return dictionary and schema of fields f0, f1, …"""
    names = [f"f{index}" for index in range(count)]
    fields = "".join(
        f'<DataField name="{name}" optype="continuous" dataType="double"/>' for name in names
    )
    return fields, "".join(f'<MiningField name="{name}"/>' for name in names)


def tree_nodes(tree, node=0, predicate="<True/>", score=None):
    """Return the nodes of a scikit-learn tree: its left child is asked, the right is the rest."""
    score = score or (lambda values: f"score={quoteattr(repr(float(values.ravel()[0])))}")
    if tree.children_left[node] < 0:
        inner, attributes = "", score(tree.value[node])
        if isinstance(attributes, tuple):
            attributes, inner = attributes
        return f"<Node {attributes}>{predicate}{inner}</Node>"
    feature, threshold = tree.feature[node], float(tree.threshold[node])
    asked = f'<SimplePredicate field="f{feature}" operator="lessOrEqual" value="{threshold!r}"/>'
    left = tree_nodes(tree, tree.children_left[node], asked, score)
    right = tree_nodes(tree, tree.children_right[node], "<True/>", score)
    return f"<Node>{predicate}{left}{right}</Node>"


def shares(classes):
    """Return what writes a leaf of a classifier."""

    def score(values):
        counts = values.ravel()
        inner = "".join(
            f'<ScoreDistribution value="{name}" recordCount="{float(count)!r}"/>'
            for name, count in zip(classes, counts, strict=True)
        )
        return f'score="{classes[int(np.argmax(counts))]}"', inner

    return score


def tree_model(nodes, schema, function="regression", attributes=""):
    return (
        f'<TreeModel functionName="{function}" splitCharacteristic="multiSplit" {attributes}>'
        f"<MiningSchema>{schema}</MiningSchema>{nodes}</TreeModel>"
    )


def segments(models, method, weights=None, attributes=""):
    weights = weights or [1] * len(models)
    inner = "".join(
        f'<Segment id="{index}" weight="{weight}"><True/>{model}</Segment>'
        for index, (model, weight) in enumerate(zip(models, weights, strict=True))
    )
    return f'<Segmentation multipleModelMethod="{method}" {attributes}>{inner}</Segmentation>'


def mining_model(segmentation, schema, function="regression", targets=""):
    return (
        f'<MiningModel functionName="{function}"><MiningSchema>{schema}</MiningSchema>'
        f"{targets}{segmentation}</MiningModel>"
    )

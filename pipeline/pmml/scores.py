"""The score of a tree's leaf: a number, a vote, or the probability of each class."""

import math
from collections.abc import Sequence
from xml.etree.ElementTree import Element

from gnomon.pipeline.pmml.document import number, refuse

__all__ = ["distribution", "same_number", "score_of", "vote", "write_classes_alike"]

#: Element → the attribute that names a class.
_NAMES_CLASS = {
    "Node": "score",
    "ScoreDistribution": "value",
    "RegressionTable": "targetCategory",
    "OutputField": "value",
    "TargetValue": "value",
}


def write_classes_alike(model: Element, classes: Sequence[str]) -> None:
    """Write the classes in a model of a numeric target as its dictionary does: 0.0 as 0."""
    for element in model.iter():
        attribute = _NAMES_CLASS.get(element.tag, "")
        text = element.get(attribute)
        if text is not None and text not in classes:
            alike = [one for one in classes if same_number(one, text)]
            element.set(attribute, alike[0] if alike else text)


def same_number(one: str, other: str) -> bool:
    """Say whether two texts are the same number."""
    try:
        return float(one) == float(other)
    except ValueError:
        return False


def score_of(node: Element) -> list[float]:
    """Return a leaf's number; NaN if it has none."""
    return [number(node, "score", math.nan)]


def vote(node: Element, classes: Sequence[str]) -> list[float]:
    """Return 1 for the class of a leaf, 0 for all others."""
    score = node.get("score")
    if score not in classes:
        refuse(node, f"its score is not one of {', '.join(classes)}")
    return [float(score == one) for one in classes]


def distribution(node: Element, classes: Sequence[str]) -> list[float]:
    """Return the share of each class in a leaf; without a distribution, 1 for its score."""
    found = node.findall("ScoreDistribution")
    if not found:
        return vote(node, classes)
    shares = dict.fromkeys(classes, 0.0)
    for one in found:
        if one.get("value") not in shares:
            refuse(one, f"its value is not one of {', '.join(classes)}")
        shares[one.get("value", "")] = number(
            one, "probability", number(one, "recordCount", math.nan)
        )
    total = math.fsum(shares.values())
    if not total > 0:
        refuse(node, "its distribution holds nothing")
    return [share / total for share in shares.values()]

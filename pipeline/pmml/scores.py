"""The score of a tree's leaf: a number, a vote, or the probability of each class."""

import math
from collections.abc import Sequence
from xml.etree.ElementTree import Element

from gnomon.pipeline.pmml.document import number, refuse

__all__ = ["distribution", "score_of", "vote"]


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

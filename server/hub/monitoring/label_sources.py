"""The sources of labels and their precedence.

A person, or a program with a person's key, is believed before the node that predicted, and that
node before any other. A source may correct itself; a source of higher precedence corrects another.
"""

from collections.abc import Collection
from enum import IntEnum
from typing import NamedTuple


class Precedence(IntEnum):
    """How far a source is believed; stored in `label.precedence`."""

    OTHER_NODE = 0
    PREDICTOR = 1
    PERSON = 2


class LabelSource(NamedTuple):
    """Who sends labels."""

    name: str
    is_node: bool

    def precedence(self, predictors: Collection[str]) -> Precedence:
        """Return how far the source is believed about a request that these nodes answered."""
        if not self.is_node:
            return Precedence.PERSON
        return Precedence.PREDICTOR if self.name in predictors else Precedence.OTHER_NODE


class KnownLabel(NamedTuple):
    """A label that the hub has: its value, and whose it is."""

    value: float
    source: str
    precedence: Precedence

    def may_be_corrected(
        self, source: LabelSource, precedence: Precedence, predictors: Collection[str]
    ) -> bool:
        """Return whether a source may replace the value.

        Args:
            source: who sends another value.
            precedence: how far that source is believed about this request.
            predictors: nodes that answered the request, as far as they are known by now.
        """
        mine = self.precedence
        if mine is Precedence.OTHER_NODE and self.source in predictors:
            mine = Precedence.PREDICTOR
        is_own = self.source == source.name or precedence is Precedence.PERSON
        return precedence > mine or (precedence == mine and is_own)

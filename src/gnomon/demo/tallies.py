"""The callers' own counts: requested rows, by outcome."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

OUTCOMES = ("answered", "refused", "failed")


class Tallies:
    """Counts by node, as the callers saw them; the hub must have the same."""

    def __init__(self, nodes: Iterable[str]) -> None:
        self.by_node: dict[str, Counter[str]] = {node: Counter() for node in nodes}

    def add(self, node: str, tally: Mapping[str, int]) -> None:
        """Add one caller's counts of a replay."""
        self.by_node[node].update(tally)

    def add_answers(self, node: str, answers: Iterable[Mapping[str, Any]]) -> None:
        """Count single calls."""
        for answer in answers:
            self.by_node[node].update(["asked", answer["outcome"]])

    def total(self, what: str) -> int:
        """Return a count over all nodes."""
        return sum(tally[what] for tally in self.by_node.values())

    def differences(self, counts: Iterable[Mapping[str, Any]]) -> list[str]:
        """Return the differences between the hub's counts and the callers'.

        Answers by a fallback are answers to those who asked.
        """
        known: dict[str, Counter[str]] = {node: Counter() for node in self.by_node}
        for row in counts:
            if not row["shadow"]:
                outcome = "answered" if row["outcome"] == "fallback" else row["outcome"]
                known.setdefault(row["node"], Counter())[outcome] += row["rows"]
        return [
            f"{node}: {self.by_node[node][outcome]} {outcome} there, {tally[outcome]} known here"
            for node, tally in known.items()
            for outcome in {*OUTCOMES, *tally}
            if self.by_node[node][outcome] != tally[outcome]
        ]

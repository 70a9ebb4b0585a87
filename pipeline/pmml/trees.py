"""Decision trees as one ONNX tree ensemble, with any splits and missing-value strategies.

PMML tests a node's children in order and takes the first whose predicate is true. That is a chain
of branches: a comparison of one column is a branch of its own, every other predicate
becomes a column of 1, 0 and NaN, made before. A predicate that is unknown, because a value is
missing, follows the tree's strategy: NaN takes the branch that is marked for it, and if that is
neither of the two, a branch in front tests for NaN (x ≤ ∞ is false for NaN only).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

import numpy as np
from onnx import numpy_helper

from gnomon.pipeline.pmml.document import number, refuse, require
from gnomon.pipeline.pmml.expressions import look_up
from gnomon.pipeline.pmml.fields import Scope
from gnomon.pipeline.pmml.graph import Graph
from gnomon.pipeline.pmml.predicates import PREDICATES, find_predicate, predicate
from gnomon.runtime.errors import PackageError

__all__ = ["Forest"]

_NODES_LIMIT = 2_000_000
_MODES = {
    "lessOrEqual": "BRANCH_LEQ",
    "lessThan": "BRANCH_LT",
    "greaterOrEqual": "BRANCH_GTE",
    "greaterThan": "BRANCH_GT",
    "equal": "BRANCH_EQ",
    "notEqual": "BRANCH_NEQ",
}
_UNKNOWN = ("none", "lastPrediction", "nullPrediction", "defaultChild")
_ALLOWED = PREDICATES | {"Node", "ScoreDistribution", "Extension", "Partition"}

#: Writes a branch or leaf and returns its number.
Write = Callable[[], int]


@dataclass
class _Nodes:
    """The attributes of an ONNX tree ensemble, node after node."""

    tree: list[int] = field(default_factory=list)
    number: list[int] = field(default_factory=list)
    feature: list[int] = field(default_factory=list)
    mode: list[str] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    true: list[int] = field(default_factory=list)
    false: list[int] = field(default_factory=list)
    missing_true: list[int] = field(default_factory=list)
    leaf_tree: list[int] = field(default_factory=list)
    leaf_node: list[int] = field(default_factory=list)
    leaf_target: list[int] = field(default_factory=list)
    leaf_weight: list[float] = field(default_factory=list)


class Forest:
    """A sum of trees; each adds `scores(node)` of the leaf that a row reaches."""

    def __init__(self, graph: Graph, targets: int) -> None:
        self._graph = graph
        self._targets = targets
        self._columns: dict[str, int] = {}
        self._nodes = _Nodes()
        self._trees = 0

    def add(
        self, tree: Element, scope: Scope, scores: Callable[[Element], Sequence[float]]
    ) -> None:
        """Add a `TreeModel`.

        Raises:
            PackageError: it does with gaps what cannot be said, or is too large.
        """
        root = tree.find("Node")
        strategy = tree.get("missingValueStrategy", "none")
        no_child = tree.get("noTrueChildStrategy", "returnNullPrediction")
        if root is None or strategy not in _UNKNOWN:
            refuse(tree, f"missingValueStrategy {strategy!r}")
        if number(tree, "missingValuePenalty", 1.0) != 1.0:
            refuse(tree, "missingValuePenalty")
        writer = _TreeWriter(
            self, scope, scores, strategy, no_child == "returnLastPrediction", self._trees
        )
        writer.write(root)
        self._trees += 1

    def finish(self) -> str:
        """Return the sums `(rows, targets)`."""
        nodes, graph = self._nodes, self._graph
        columns = list(self._columns) or [graph.column("input", 0)]
        matrix = graph.add("Concat", *columns, axis=1) if len(columns) > 1 else columns[0]
        count = len(nodes.tree)
        sums = graph.add(
            "TreeEnsembleRegressor",
            matrix,
            n_targets=self._targets,
            nodes_treeids=nodes.tree,
            nodes_nodeids=nodes.number,
            nodes_featureids=nodes.feature,
            nodes_modes=nodes.mode,
            nodes_values_as_tensor=numpy_helper.from_array(np.array(nodes.value), "values"),
            nodes_truenodeids=nodes.true,
            nodes_falsenodeids=nodes.false,
            nodes_missing_value_tracks_true=nodes.missing_true,
            nodes_hitrates_as_tensor=numpy_helper.from_array(np.ones(count), "rates"),
            target_treeids=nodes.leaf_tree,
            target_nodeids=nodes.leaf_node,
            target_ids=nodes.leaf_target,
            target_weights_as_tensor=numpy_helper.from_array(
                np.array(nodes.leaf_weight), "weights"
            ),
        )
        return graph.real(sums)

    # What a tree's writer needs.

    def branch(
        self, tree: int, column: str, mode: str, value: float, write: tuple[Write, Write, bool]
    ) -> int:
        """Write a branch, its two sides, and the side that NaN takes.

        Args:
            tree: number of the tree.
            column: what is compared.
            mode: the operator of ONNX, such as BRANCH_LEQ.
            value: what it is compared with.
            write: writes the side if true, writes the side if false, and whether NaN counts as
                true.
        """
        position = self._new(
            tree, self._columns.setdefault(column, len(self._columns)), mode, value
        )
        true, false, is_missing_true = write
        self._nodes.true[position] = true()
        self._nodes.false[position] = false()
        self._nodes.missing_true[position] = int(is_missing_true)
        return self._nodes.number[position]

    def leaf(self, tree: int, scores: Sequence[float]) -> int:
        """Write a leaf."""
        position = self._new(tree, 0, "LEAF", 0.0)
        for target, score in enumerate(scores):
            self._nodes.leaf_tree.append(tree)
            self._nodes.leaf_node.append(self._nodes.number[position])
            self._nodes.leaf_target.append(target)
            self._nodes.leaf_weight.append(score)
        return self._nodes.number[position]

    def truth(self, element: Element, scope: Scope) -> str:
        """Return a column of 1, 0 and NaN for a predicate."""
        found = predicate(self._graph, element, scope)
        graph = self._graph
        known = graph.where(found.false, graph.number(0.0), graph.number(math.nan))
        return graph.where(found.true, graph.number(1.0), known)

    def no_scores(self) -> list[float]:
        """Return the scores of a leaf without a prediction."""
        return [math.nan] * self._targets

    def _new(self, tree: int, feature: int, mode: str, value: float) -> int:
        nodes = self._nodes
        if len(nodes.tree) >= _NODES_LIMIT:
            raise PackageError(f"PMML: the trees make more than {_NODES_LIMIT} branches")
        is_new_tree = not nodes.tree or nodes.tree[-1] != tree
        nodes.tree.append(tree)
        nodes.number.append(0 if is_new_tree else nodes.number[-1] + 1)
        nodes.feature.append(feature)
        nodes.mode.append(mode)
        nodes.value.append(value)
        nodes.true.append(0)
        nodes.false.append(0)
        nodes.missing_true.append(0)
        return len(nodes.tree) - 1


@dataclass(frozen=True)
class _TreeWriter:
    forest: Forest
    scope: Scope
    scores: Callable[[Element], Sequence[float]]
    strategy: str
    is_last_kept: bool
    tree: int

    def write(self, root: Element) -> int:
        """Write the whole tree; a row that does not satisfy the root has no prediction."""
        return self._ask(root, lambda: self._node(root), self._nothing, self._nothing)

    def _node(self, node: Element) -> int:
        if unknown := [child for child in node if child.tag not in _ALLOWED]:
            refuse(unknown[0], "within a tree")
        children = node.findall("Node")
        return self._child(node, children, 0) if children else self._leaf(node)

    def _child(self, node: Element, children: list[Element], position: int) -> int:
        if position == len(children):
            return self._leaf(node) if self.is_last_kept else self._nothing()
        child = children[position]

        def following() -> int:
            return self._child(node, children, position + 1)

        return self._ask(
            child, lambda: self._node(child), following, self._unknown(node, children, following)
        )

    def _unknown(self, node: Element, children: list[Element], following: Write) -> Write:
        """Return where a row goes when a child's predicate is unknown."""
        if self.strategy == "none":
            return following
        if self.strategy == "nullPrediction":
            return self._nothing
        if self.strategy == "lastPrediction":
            return lambda: self._leaf(node)
        wanted = node.get("defaultChild")
        found = [child for child in children if child.get("id") == wanted and wanted]
        return (lambda: self._node(found[0])) if found else self._nothing

    def _ask(self, node: Element, true: Write, false: Write, unknown: Write) -> int:
        element = find_predicate(node)
        if element.tag == "True":
            return true()
        if element.tag == "False":
            return false()
        column, mode, value = self._comparison(element)
        if unknown is false:
            return self._branch(column, mode, value, (true, false, False))
        return self._branch(
            column,
            "BRANCH_LEQ",
            math.inf,
            (lambda: self._branch(column, mode, value, (true, false, False)), unknown, False),
        )

    def _comparison(self, element: Element) -> tuple[str, str, float]:
        """Return a predicate as column, comparison and number."""
        mode = _MODES.get(element.get("operator", ""))
        if element.tag == "SimplePredicate" and mode:
            value = look_up(self.scope, require(element, "field"))
            code = value.code(require(element, "value"))
            is_ordered = value.categories is None or element.get("operator") in (
                "equal",
                "notEqual",
            )
            if is_ordered and not math.isnan(code) and mode != "BRANCH_NEQ":
                return value.tensor, mode, code
        return self.forest.truth(element, self.scope), "BRANCH_GT", 0.5

    def _branch(
        self, column: str, mode: str, value: float, write: tuple[Write, Write, bool]
    ) -> int:
        return self.forest.branch(self.tree, column, mode, value, write)

    def _leaf(self, node: Element) -> int:
        return self.forest.leaf(self.tree, self.scores(node))

    def _nothing(self) -> int:
        return self.forest.leaf(self.tree, self.forest.no_scores())

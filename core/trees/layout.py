"""Writes the file that `TreeModel` reads; `trees.h` describes each part.

An importer lists slots, sets and trees in a `TreeWriter`, in the trainer's order of trees, and
takes the bytes. Nothing here knows a trainer.
"""

import enum
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LayoutError", "Link", "ModelFlag", "SetFlag", "SlotFlag", "TreeWriter"]

HEADER = struct.Struct("<8sIIIIIIIIIIQQQQdddd")
NODE = np.dtype([("number", "<f8"), ("word", "<u4")])
ENTRY = np.dtype(
    [("first", "<u8"), ("nodes", "<u4"), ("depth", "<u4"), ("output", "<u4"), ("reserved", "<u4")]
)

#: As in the loops; what is beyond is refused when a file is opened, and before it is written.
FEATURES_LIMIT, OUTPUTS_LIMIT = 1 << 20, 1 << 14
_SET_WORDS_LIMIT = 1 << 22


class SlotFlag(enum.IntFlag):
    """What a slot does with a feature before it is compared."""

    FLOAT32 = 1
    TINY_IS_ZERO = 2
    ZERO_IS_MISSING = 4
    MISSING_LEFT = 8
    MISSING_ZERO = 16
    CATEGORY = 32
    CATEGORY_TRUNCATE = 64
    CATEGORY_EXACT = 128


class SetFlag(enum.IntFlag):
    """Where codes go that a set does not reach, and missing ones; left without the flag."""

    OUTSIDE_RIGHT = 1
    MISSING_RIGHT = 2


class ModelFlag(enum.IntFlag):
    """How a model sums and answers."""

    FLOAT_SUMS = 1
    TAKES_MISSING = 2
    FLOAT_ANSWER = 4
    SCALES = 8


_NO_FLAGS = ModelFlag(0)


class Link(enum.IntEnum):
    """From raw scores to answers."""

    IDENTITY = 0
    SIGMOID = 1
    SOFTMAX = 2
    EXP = 3
    SIGMOID_FLOAT = 4
    SOFTMAX_FLOAT = 5
    EXP_FLOAT = 6
    SIGNED_SQUARE = 7
    LOG1P_EXP = 8
    EXP2_NEGATIVE = 9
    POSITIVE = 10
    ARGMAX = 11


class LayoutError(ValueError):
    """The trees cannot be written: what is wrong, and in which tree."""


@dataclass(frozen=True, slots=True)
class _Tree:
    number: NDArray[np.float64]
    slot: NDArray[np.int64]
    ahead: NDArray[np.int64]
    depth: int
    output: int


@dataclass(slots=True)
class TreeWriter:
    """Collects the parts of a model file.

    Args:
        features: how many numbers a row has.
        outputs: how many raw scores a row gets.
        leaf_width: 1, or as many values as outputs in each leaf.
        flags: how it sums and answers.
        link: from raw scores to answers; `factor` and `offset` are the link's.
        divisor: what each sum is divided by.
        scale: what it is multiplied with then, if `flags` say so.
    """

    features: int
    outputs: int = 1
    leaf_width: int = 1
    flags: ModelFlag = _NO_FLAGS
    link: Link = Link.IDENTITY
    factor: float = 1.0
    offset: float = 0.0
    divisor: float = 1.0
    scale: float = 1.0
    starts: Sequence[float] = ()
    biases: Sequence[float] = ()
    text: Mapping[str, Any] = field(default_factory=dict)
    _slots: dict[tuple[int, int], int] = field(default_factory=dict)
    _sets: list[int] = field(default_factory=list)
    _values: list[float] = field(default_factory=list)
    _trees: list[_Tree] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Refuse what no file holds before anything is made of it.

        Raises:
            LayoutError: there are too many features or outputs, or none.
        """
        for name, number, most in (
            ("features", self.features, FEATURES_LIMIT),
            ("outputs", self.outputs, OUTPUTS_LIMIT),
        ):
            if not 0 < number <= most:
                raise LayoutError(f"a model has {number} {name}; 1 to {most} are possible")

    def slot(self, feature: int, flags: SlotFlag) -> int:
        """Return the number by which trees refer to a feature as these flags see it."""
        if not 0 <= feature < self.features:
            raise LayoutError(f"feature {feature} is not one of {self.features}")
        return self._slots.setdefault((feature, int(flags)), len(self._slots) + 1)

    def add_set(self, codes: Sequence[int], flags: SetFlag, size: int | None = None) -> float:
        """Return what a categorical node has as its number: these codes go left.

        Of codes from `size` (by default one above the largest) on, the flags tell the way.
        """
        size = max(codes, default=-1) + 1 if size is None else size
        if size > 1 << 24 or min(codes, default=0) < 0 or max(codes, default=-1) >= size:
            raise LayoutError(f"categories should be 0 to {(1 << 24) - 1}")
        place, count = len(self._sets), (size + 31) // 32
        if place + count > _SET_WORDS_LIMIT:
            raise LayoutError(f"sets of categories take more than {_SET_WORDS_LIMIT} words")
        bits = np.zeros(32 * count, np.bool_)
        bits[np.asarray(codes, np.int64)] = True
        words = np.packbits(bits, bitorder="little").view("<u4")
        self._sets += [size, int(flags), *words.tolist()]
        return float(place)

    def add_values(self, values: Sequence[float]) -> float:
        """Return what a leaf with these values, one for each output, has as its number."""
        if len(values) != self.leaf_width:
            raise LayoutError(f"a leaf has {len(values)} values, expected {self.leaf_width}")
        self._values += values
        return float(len(self._values) - len(values))

    def add_tree(
        self,
        left: NDArray[Any],
        right: NDArray[Any],
        slot: NDArray[Any],
        number: NDArray[Any],
        output: int = 0,
    ) -> None:
        """Add a tree whose root is node 0; all arrays have the shape (nodes,).

        Args:
            left: the left child's node, negative for a leaf.
            right: the right child's node.
            slot: of `slot()`, for inner nodes.
            number: threshold, `add_set()`, or a leaf's value or `add_values()`.
            output: to which raw score it adds; 0 if leaves have several values.

        Raises:
            LayoutError: a child is outside of the nodes, or the nodes are no tree.
        """
        number = np.asarray(number, np.float64)
        levels = _levels(np.asarray(left, np.int64), np.asarray(right, np.int64))
        order = np.concatenate(levels)
        place = np.empty(len(left), np.int64)
        place[order] = np.arange(len(order))
        is_inner = np.asarray(left)[order] >= 0
        ahead = np.where(is_inner, place[np.asarray(left)[order]] - np.arange(len(order)), 0)
        slots = np.where(is_inner, np.asarray(slot, np.int64)[order], 0)
        self._trees.append(_Tree(number[order], slots, ahead, len(levels) - 1, output))

    def to_bytes(self) -> bytes:
        """Return the file.

        Raises:
            LayoutError: a tree is too large for the number of slots.
        """
        order = sorted(self._slots, key=lambda one: bool(one[1] & SlotFlag.CATEGORY))
        moved = np.zeros(len(order) + 1, np.int64)
        for new, one in enumerate(order, 1):
            moved[self._slots[one]] = new
        numeric = sum(not flags & SlotFlag.CATEGORY for _, flags in order)
        shift = max(len(order).bit_length(), 1)
        slots = np.array([(0, 0), *order], "<u4")
        text = json.dumps(self.text, sort_keys=True, separators=(",", ":")).encode()
        sections = [
            np.array(self.starts or [0.0] * self.outputs, "<f8").tobytes(),
            np.array(self.biases or [0.0] * self.outputs, "<f8").tobytes(),
            slots.tobytes(),
            self._entries().tobytes(),
            self._nodes(moved, shift).tobytes(),
            np.array(self._sets, "<u4").tobytes(),
            np.array(self._values, "<f8").tobytes(),
            text,
        ]
        counts = (len(order) + 1, numeric + 1, shift, self.leaf_width)
        head = HEADER.pack(
            b"gnmtrees",
            1,
            self.features,
            self.outputs,
            len(self._trees),
            *counts,
            int(self.flags),
            int(self.link),
            sum(len(tree.slot) for tree in self._trees),
            len(self._sets),
            len(self._values),
            len(text),
            self.divisor,
            self.scale,
            self.factor,
            self.offset,
        )
        return _join([head, *sections])

    def _entries(self) -> NDArray[Any]:
        entries = np.zeros(len(self._trees), ENTRY)
        first = 0
        for index, tree in enumerate(self._trees):
            entries[index] = (first, len(tree.slot), tree.depth, tree.output, 0)
            first += len(tree.slot)
        return entries

    def _nodes(self, moved: NDArray[np.int64], shift: int) -> NDArray[Any]:
        parts = []
        for index, tree in enumerate(self._trees):
            if tree.ahead.max(initial=0) >= 1 << 32 - shift:
                raise LayoutError(f"tree {index} has too many nodes for {len(moved)} slots")
            nodes = np.empty(len(tree.slot), NODE)
            nodes["number"] = tree.number
            nodes["word"] = tree.ahead << shift | moved[tree.slot]
            parts.append(nodes)
        return np.concatenate(parts) if parts else np.empty(0, NODE)


def _levels(left: NDArray[np.int64], right: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the nodes level by level, siblings beside each other."""
    count = len(left)
    level, levels, seen = np.zeros(1, np.int64), [], 0
    if not count or len(right) != count:
        raise LayoutError("a tree should have a root, and as many right as left children")
    while len(level):
        seen += len(level)
        if seen > count:
            raise LayoutError("the nodes of a tree are reached more than once")
        levels.append(level)
        inner = level[left[level] >= 0]
        level = np.stack([left[inner], right[inner]], axis=1).ravel()
        if len(level) and not (level.min() >= 0 and level.max() < count):
            raise LayoutError(f"a child is outside of the {count} nodes of its tree")
    return levels


def _join(sections: Sequence[bytes]) -> bytes:
    """Return the sections, each from a multiple of 8."""
    file = bytearray()
    for section in sections:
        file += bytes(-len(file) % 8) + section
    return bytes(file)

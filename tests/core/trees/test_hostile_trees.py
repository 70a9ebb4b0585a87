"""Files of trees that are malformed: refused, or run inside their arrays; nothing in between."""

import struct

import numpy as np
import pytest

from gnomon.core.trees import TreeFileError, TreeModel
from gnomon.core.trees.layout import ModelFlag, SetFlag, SlotFlag, TreeWriter

#: Places in the file that `small` gives: two trees of 3 nodes, two numeric slots and a set.
HEAD = 112
SLOTS = HEAD + 16
ENTRIES = SLOTS + 4 * 8
NODES = ENTRIES + 2 * 24


def small() -> bytes:
    writer = TreeWriter(2, flags=ModelFlag.TAKES_MISSING, text={"trainer": "nobody"})
    left, right = np.array([1, -1, -1]), np.array([2, -1, -1])
    first, second = writer.slot(0, SlotFlag(0)), writer.slot(1, SlotFlag.MISSING_LEFT)
    category = writer.slot(1, SlotFlag.CATEGORY)
    assert (first, second, category) == (1, 2, 3)
    writer.add_tree(left, right, np.array([first, 0, 0]), np.array([0.5, 1.0, 2.0]))
    number = writer.add_set([3, 40], SetFlag.OUTSIDE_RIGHT)
    writer.add_tree(left, right, np.array([category, 0, 0]), np.array([number, 1.0, 2.0]))
    return writer.to_bytes()


ROWS = np.array([[np.nan, np.inf], [-np.inf, 3.0], [0.0, -1e300], [1.0, 40.9]] * 5)


def changed(place: int, new: bytes) -> bytes:
    file = bytearray(small())
    file[place : place + len(new)] = new
    return bytes(file)


def node(number: float, ahead: int, slot: int) -> bytes:
    return struct.pack("<dI", number, ahead << 2 | slot)


@pytest.mark.parametrize(
    ("place", "new", "said"),
    [
        (0, b"x", "begin"),
        (8, b"\2", "version"),
        (12, bytes(4), "header"),
        (12, struct.pack("<I", 1), "slot"),
        (16, struct.pack("<I", 1 << 30), "header"),
        (20, struct.pack("<I", 1 << 19), "sections"),
        (24, struct.pack("<I", 1 << 22), "header"),
        (48, struct.pack("<Q", 1 << 62), "header"),
        (80, struct.pack("<d", np.nan), "finite"),
        (80, struct.pack("<d", 0.0), "finite"),
        (HEAD, struct.pack("<d", np.inf), "finite"),
        (SLOTS + 8, struct.pack("<I", 9), "slot 1"),
        (SLOTS + 12, struct.pack("<I", 32), "slot 1"),
        (ENTRIES, struct.pack("<Q", 1 << 60), "tree 0"),
        (ENTRIES + 8, struct.pack("<I", 4), "tree 1"),
        (ENTRIES + 12, struct.pack("<I", 2), "depth"),
        (ENTRIES + 16, struct.pack("<I", 1), "tree 0"),
        (NODES, node(0.5, 2, 1), "tree 0, node 0"),
        (NODES, node(0.5, (1 << 30) - 1, 1), "tree 0, node 0"),
        (NODES, node(np.nan, 1, 1), "tree 0, node 0"),
        (NODES, node(0.5, 1, 0), "tree 0, node 0"),
        (NODES + 12, node(np.nan, 0, 0), "tree 0, node 1"),
        (NODES + 12, node(np.inf, 0, 0), "tree 0, node 1"),
        (NODES + 12, node(1.0, 0, 1), "tree 0, node 1"),
        (NODES + 36, node(0.5, 1, 3), "set"),
        (NODES + 36, node(3.0, 1, 3), "set"),
        (NODES + 36, node(-1.0, 1, 3), "set"),
        (NODES + 36, node(np.nan, 1, 3), "set"),
    ],
)
def test_a_malformed_file_is_refused_by_what_is_wrong(place: int, new: bytes, said: str) -> None:
    with pytest.raises(TreeFileError, match=said):
        TreeModel(changed(place, new))


def test_a_file_of_any_other_length_is_refused() -> None:
    file = small()
    TreeModel(file)
    for length in range(len(file)):
        with pytest.raises(TreeFileError):
            TreeModel(file[:length])
    with pytest.raises(TreeFileError):
        TreeModel(file + b"x")


def test_every_changed_bit_is_refused_or_runs() -> None:
    file = small()
    taken = 0
    for place in range(len(file)):
        for bit in range(8):
            try:
                model = TreeModel(changed(place, bytes([file[place] ^ 1 << bit])))
            except TreeFileError:
                continue
            taken += 1
            rows = np.resize(ROWS, (20, model.features)) if model.features < 1000 else None
            if rows is not None and model.outputs < 1000:
                model.predict(np.ascontiguousarray(rows))
    assert taken


def test_random_words_are_refused_or_run() -> None:
    random = np.random.default_rng(0)
    file = np.frombuffer(small(), np.uint8)
    for _ in range(3_000):
        one = file.copy()
        places = random.integers(HEAD, len(file), random.integers(1, 6))
        one[places] = random.choice([0, 1, 2, 3, 4, 127, 128, 255], len(places))
        try:
            model = TreeModel(one.tobytes())
        except TreeFileError:
            continue
        model.predict(ROWS)


def test_a_file_at_an_odd_address_is_read_too() -> None:
    shifted = memoryview(b"x" + small())[1:]
    assert TreeModel(shifted).scores(ROWS).tolist() == TreeModel(small()).scores(ROWS).tolist()

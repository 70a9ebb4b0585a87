"""Metrics by class agree with scikit-learn's, and their intervals respect blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from gnomon.pipeline.class_metrics import class_metrics

CLASSES = st.sampled_from(["late", "early", "very_low"])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(CLASSES | st.none(), CLASSES | st.just("else")), min_size=1, max_size=20))
def test_metrics_are_those_of_scikit_learn(rows: list[tuple[str | None, str]]) -> None:
    truth, guessed = zip(*rows, strict=True)
    if all(label is None for label in truth):
        with pytest.raises(ValueError, match="has a label"):
            class_metrics(truth, guessed)
        return
    found = class_metrics(truth, guessed)
    labelled = [(label, one) for label, one in rows if label is not None]
    names = sorted({label for label, _ in labelled})
    precision, recall, f1, _ = precision_recall_fscore_support(
        *zip(*labelled, strict=True), labels=names, zero_division=0
    )
    for name, *expected in zip(names, precision, recall, f1, strict=True):
        given = [found.get(f"{name}.{metric}", 0.0) for metric in ("precision", "recall", "f1")]
        assert given == pytest.approx(expected)
    assert found["macro_f1"] == pytest.approx(np.mean(f1))
    assert all(np.isfinite(value) and 0 <= value <= 1 for value in found.values())


def test_intervals_are_wider_if_blocks_share_their_errors() -> None:
    chance = np.random.default_rng(0)
    blocks = np.arange(2_000) // 100
    is_bad = chance.random(20)[blocks] < 0.3
    guessed = ["b" if bad else "a" for bad in is_bad.tolist()]
    alone = class_metrics(["a"] * 2_000, guessed)
    together = class_metrics(["a"] * 2_000, guessed, blocks=blocks)

    def width(found: dict[str, float]) -> float:
        assert found["a.recall_low"] <= found["a.recall"] <= found["a.recall_high"]
        return found["a.recall_high"] - found["a.recall_low"]

    assert alone["a.recall"] == together["a.recall"]
    assert width(together) > 3 * width(alone)


def test_the_most_frequent_classes_are_measured() -> None:
    truth = [str(number % 30) for number in range(300)] + ["29"] * 5
    found = class_metrics(truth, truth)
    assert sum(name.endswith(".f1") for name in found) == 10
    assert found["29.recall"] == found["macro_f1"] == 1.0

"""The benchmark of trees runs, and measures what it says."""

import pytest

from gnomon.bench.core import tree_parity, trees


@pytest.mark.slow
def test_benchmark_measures_each_comparison() -> None:
    pytest.importorskip("lightgbm")
    results = trees.run(rounds=1, counts=(100,))
    assert all(one.ours > 0 for one in results)
    promises = [one.what for one in results if one.must is not None]
    assert len(promises) == 3
    (size,) = [one for one in results if one.unit == "pair"]
    assert size.ratio < 1.1


@pytest.mark.slow
def test_parity_is_measured_for_each_trainer() -> None:
    pytest.importorskip("lightgbm")
    name, proof = next(tree_parity.run(rows=300, trees=2))
    assert name.startswith("LightGBM")
    assert (proof.rows, proof.different_scores) == (300, 0)

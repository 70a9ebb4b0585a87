"""Metrics against their definitions, and the coverage of their intervals."""

import numpy as np
import pytest

from gnomon.pipeline.metrics import regression_metrics


def test_agree_with_their_definitions():
    rng = np.random.default_rng(0)
    labels, predictions = rng.normal(size=1001), rng.normal(size=1001)
    labels[::7] = np.nan
    errors = (predictions - labels)[~np.isnan(labels)]
    got = regression_metrics(labels, predictions, blocks=np.arange(1001) // 100)
    assert got["mae"] == pytest.approx(np.abs(errors).mean())
    assert got["rmse"] == pytest.approx(np.sqrt((errors**2).mean()))
    assert got["bias"] == pytest.approx(errors.mean())
    assert got["p90_absolute_error"] == pytest.approx(
        np.quantile(np.abs(errors), 0.9, method="inverted_cdf")
    )
    assert (got["rows"], got["blocks"]) == (len(errors), 11)
    for name in ("mae", "rmse", "bias", "p90_absolute_error"):
        assert got[f"{name}_low"] <= got[name] <= got[f"{name}_high"]


def interval_covers(seed, blocks):
    """Errors whose days have a mean of their own; the true bias is 0."""
    rng = np.random.default_rng(seed)
    days = np.repeat(np.arange(40), 50)
    errors = rng.normal(size=40)[days] + rng.normal(size=len(days))
    got = regression_metrics(np.zeros_like(errors), errors, blocks=days if blocks else None)
    return got["bias_low"] <= 0 <= got["bias_high"]


@pytest.mark.slow
def test_blocks_give_honest_intervals_where_rows_do_not():
    assert sum(interval_covers(seed, blocks=True) for seed in range(60)) >= 51
    assert sum(interval_covers(seed, blocks=False) for seed in range(60)) <= 36


def test_same_seed_gives_the_same_interval():
    labels, predictions = np.arange(50.0), np.arange(50.0)[::-1]
    assert regression_metrics(labels, predictions) == regression_metrics(labels, predictions)


def test_no_labels_are_refused():
    with pytest.raises(ValueError, match="none of the 3 rows"):
        regression_metrics([np.nan] * 3, [1, 2, 3])


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("number", [np.inf, -np.inf, 1.7e308, -1e155])
def test_an_error_that_no_sum_holds_is_refused_with_its_row(number, side):
    columns = np.zeros((2, 3))
    columns[side, 1] = number
    with pytest.raises(ValueError, match=r"errors of 1 rows .*; the first, row 2, has the label"):
        regression_metrics(*columns)


def test_a_label_whose_prediction_is_missing_is_refused():
    with pytest.raises(ValueError, match=r"row 1, has the label inf and the prediction nan"):
        regression_metrics([np.inf, 1], [np.nan, 1])

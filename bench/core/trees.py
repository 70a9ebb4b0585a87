"""Trees beside LightGBM, XGBoost and ONNX Runtime, in CPU time: `gnomon bench trees`.

The same 100 and 500 trees of 31 leaves over 12 features, one thread, all in turn in one process; a
figure is the least of its rounds. One row of ours is a loop in C; LightGBM's fast call goes through
ctypes, ONNX Runtime's through its Python module. What a comparison must reach stands beside it.
"""

import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gnomon.bench.core.contract import CostComparison
from gnomon.bench.core.tree_models import (
    FEATURES,
    Rows,
    lightgbm_row,
    make_rows,
    onnx_session,
    train_lightgbm,
)
from gnomon.core.trees import TreeModel
from gnomon.edge.agent import Agent
from gnomon.runtime.raw_models.trees.lightgbm_text import read_lightgbm

__all__ = ["main", "run"]

ROUNDS = 20
ROWS = 2_000
#: Nanoseconds of one row alone and among others, by the number of trees.
ROW_NS = {100: 1_300.0, 500: 7_500.0}
BATCH_NS = {100: 1_100.0}
PREDICT_NS = 4_000.0
#: Of an inner node and of a leaf.
BYTES = 16 + 8


def run(rounds: int = ROUNDS, counts: tuple[int, ...] = (100, 500)) -> list[CostComparison]:
    """Measure all comparisons; peers that are not installed are reported with NaN."""
    found = []
    for trees in counts:
        found += _measure(train_lightgbm(trees), trees, rounds)
    return found


def main() -> None:
    """Print the comparisons."""
    for result in run():
        print(result)


def _measure(booster: Any, trees: int, rounds: int) -> list[CostComparison]:
    file = read_lightgbm(booster.model_to_string().encode())
    rows, model = make_rows(ROWS), TreeModel(file)
    alone = {"ours": lambda: model.scores_alone(rows), **_peers_alone(booster, rows)}
    together = {"ours": lambda: model.scores(rows), **_peers_together(booster, rows, trees)}
    one, batch = _least(alone, rounds), _least(together, rounds)
    leaves = (model.node_count + model.tree_count) // 2
    size = len(file) / leaves
    found = [
        CostComparison(
            f"{trees} trees, one row, of what is promised",
            "row",
            one["ours"],
            ROW_NS.get(trees, math.nan),
            1.0 if trees in ROW_NS else None,
        ),
        *_beside(f"{trees} trees, one row", one),
        CostComparison(
            f"{trees} trees, a batch, of what is promised",
            "row",
            batch["ours"],
            BATCH_NS.get(trees, math.nan),
            1.0 if trees in BATCH_NS else None,
        ),
        *_beside(f"{trees} trees, a batch", batch),
        CostComparison(f"{trees} trees, bytes of an inner node and a leaf", "pair", size, BYTES),
    ]
    if trees == min(ROW_NS):
        found.append(_predict(booster, rounds))
    return found


def _beside(what: str, best: dict[str, float]) -> list[CostComparison]:
    return [
        CostComparison(f"{what}, to {peer}", "row", best["ours"], figure)
        for peer, figure in best.items()
        if peer != "ours"
    ]


def _peers_alone(booster: Any, rows: Rows) -> dict[str, Callable[[], Any]]:
    fast, session = lightgbm_row(booster), onnx_session(booster)
    single = [one.reshape(1, FEATURES) for one in rows.astype("f4")]
    return {
        "LightGBM's fast call": lambda: [fast(row) for row in rows],
        "ONNX Runtime": lambda: [session.run(None, {"x": row}) for row in single],
    }


def _peers_together(booster: Any, rows: Rows, trees: int) -> dict[str, Callable[[], Any]]:
    session, single = onnx_session(booster), rows.astype("f4")
    peers = {
        "LightGBM": lambda: booster.predict(rows, raw_score=True, num_threads=1),
        "ONNX Runtime": lambda: session.run(None, {"x": single}),
    }
    try:
        import xgboost
    except ImportError:
        return peers
    target = booster.predict(rows)
    settings = {"max_leaves": 31, "max_depth": 0, "grow_policy": "lossguide", "nthread": 1}
    other = xgboost.train(settings, xgboost.DMatrix(rows, target), trees)
    return peers | {"XGBoost, on trees of its own": lambda: other.inplace_predict(single)}


def _predict(booster: Any, rounds: int) -> CostComparison:
    """Measure a checked and counted prediction of a dict."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.txt"
        booster.save_model(path)
        with Agent(package=path) as agent:
            names = booster.feature_name()
            row = dict(zip(names, make_rows(1)[0].tolist(), strict=True))
            best = _least({"ours": lambda: [agent.predict(row) for _ in range(ROWS)]}, rounds)
    return CostComparison(
        "Agent.predict of a dict, 100 trees", "row", best["ours"], PREDICT_NS, 1.0
    )


def _least(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the least CPU time of each way, all in turn, in ns of a row."""
    best = dict.fromkeys(ways, math.inf)
    for _ in range(rounds):
        for name, call in ways.items():
            start = time.process_time_ns()
            call()
            best[name] = min(best[name], (time.process_time_ns() - start) / ROWS)
    return best


if __name__ == "__main__":
    main()

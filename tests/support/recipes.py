"""A model, data and a recipe of one's own: the example's, with files that fit it."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from onnx import TensorProto, helper, numpy_helper

from gnomon.pipeline.recipes.example import EXAMPLE

VEHICLES = ("car", "truck", "van")


def linear_onnx(weights, bias=0.0, batch="N", output="minutes"):
    """y = x·w + b over a float32 matrix `features`."""
    matrix = np.array(weights, np.float32).reshape(len(weights), -1)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["features", "weights"], ["product"]),
            helper.make_node("Add", ["product", "bias"], [output]),
        ],
        "linear",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [batch, len(matrix)])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [batch, matrix.shape[1]])],
        [
            numpy_helper.from_array(matrix, "weights"),
            numpy_helper.from_array(np.array([bias], np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def deliveries(rows, seed, days=20):
    """Deliveries with what they took: some weights are missing, some labels too."""
    rng = np.random.default_rng(seed)
    distance, weight = rng.gamma(2, 20, rows), rng.gamma(2, 4, rows)
    vehicle = rng.integers(0, 3, rows)
    took = 5 + 1.5 * distance + 0.5 * weight + 4 * vehicle + rng.normal(0, 3, rows)
    day = np.datetime64("2026-01-01") + np.sort(rng.integers(0, days, rows))
    return pa.table(
        {
            "day": day,
            "distance": np.round(distance, 3),
            "weight": pa.array(np.round(weight, 3), mask=rng.random(rows) < 0.1),
            "vehicle": [VEHICLES[one] for one in vehicle],
            "hour": rng.integers(7, 20, rows),
            "took": pa.array(np.round(took, 3), mask=rng.random(rows) < 0.05),
        }
    )


def write_project(folder: Path, recipe: str = EXAMPLE) -> Path:
    """Write recipe, model and data into a folder; return the recipe's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(linear_onnx([1.5, 0.5, 4.0, 0.0], 5.0))
    pyarrow.csv.write_csv(deliveries(2000, 0), folder / "train.csv")
    pyarrow.csv.write_csv(deliveries(500, 1), folder / "test.csv")
    path = folder / "recipe.toml"
    path.write_text(recipe, encoding="utf-8")
    return path

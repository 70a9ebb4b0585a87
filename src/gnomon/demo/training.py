"""The two models behind `eta`: trees for servers, a small network for devices."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_limits

from gnomon.core.contract import Contract
from gnomon.core.fields import Field
from gnomon.core.packing import Feature, Packing, Tensor
from gnomon.pipeline.build import ModelFile
from gnomon.pipeline.datasets.dataset import Dataset
from gnomon.pipeline.formats import litert, onnx_export

#: A network extrapolates along a straight line, so it is not shown what winter cannot teach:
#: other months, and the cloudbursts of summer.
UNSEEN_BY_NETWORK = ("month", "precip")

_TREES = {"max_iter": 120, "early_stopping": False}
_NETWORK: dict[str, Any] = {
    "hidden_layer_sizes": (32, 16),
    "max_iter": 15,
    "batch_size": 256,
    "learning_rate_init": 2e-3,
    "alpha": 1e-3,
}
_NETWORK_ROWS = 60_000


def pack(packing: Packing, dataset: Dataset) -> NDArray[np.float32]:
    """Return the model's input, of shape (rows, columns), with the packing that is used in service.

    Raises:
        ValueError: if a row breaks the contract.
    """
    columns, violations = packing.contract.check_columns(dataset.columns(packing.contract.names))
    if violations is not None and violations.rejected:
        raise ValueError(f"the training data violate their contract: {violations.describe(1)[0]}")
    (tensor,) = packing.pack_columns(columns).values()
    return tensor


def predict(model: ModelFile, dataset: Dataset) -> NDArray[np.float32]:
    """Return a model's predictions, valid or not, one a row."""
    rows = pack(model.packing, dataset)
    run = onnx_export.run_onnx if model.format == "onnx" else litert.run_network
    return run(model.content, rows)


def train_trees(
    contract: Contract, dataset: Dataset, labels: NDArray[np.float64], seed: int
) -> ModelFile:
    """Train gradient boosted trees, convert them to ONNX, and compare both on all rows.

    They take categories as codes and missing values as NaN.

    Args:
        contract: of the inputs.
        dataset: the rows.
        labels: float64 of shape (rows,), minutes.
        seed: of the training.
    """
    features = [Feature(field.name, _encoding(field, "code")) for field in contract.fields]
    packing = Packing(contract, [Tensor(onnx_export.INPUT, "FP32", tuple(features))])
    rows, known = pack(packing, dataset), ~np.isnan(labels)
    trees = HistGradientBoostingRegressor(random_state=seed, **_TREES)
    with threadpool_limits(1):
        trees.fit(rows[known], labels[known])
    content = onnx_export.export_onnx(trees, rows.shape[1], name="eta")
    onnx_export.check_parity(trees, content, rows)
    return ModelFile(
        format="onnx", content=content, packing=packing, output_tensors=(onnx_export.OUTPUT,)
    )


def train_network(
    contract: Contract, dataset: Dataset, labels: NDArray[np.float64], seed: int
) -> ModelFile:
    """Train a network of two hidden layers and write it as LiteRT.

    It takes categories as one-hot columns and the training mean for what is missing. One thread
    does the sums, so that their order, and with it every digit, is always the same.

    Args:
        contract: of the inputs.
        dataset: the rows.
        labels: float64 of shape (rows,), minutes.
        seed: of the training.
    """
    packing = _network_packing(contract.fields, contract, dataset)
    rows, known = pack(packing, dataset).astype(np.float64), np.flatnonzero(~np.isnan(labels))
    if len(known) > _NETWORK_ROWS:
        known = np.random.default_rng(seed).choice(known, _NETWORK_ROWS, replace=False)
    inputs, targets = rows[known], labels[known]
    mean, scale = inputs.mean(axis=0), inputs.std(axis=0)
    # The one-hot column of a rare airport, if scaled, would be some 50 deviations large.
    one_hot = _one_hot_columns(packing)
    mean[one_hot], scale[one_hot] = 0.0, np.sign(scale[one_hot])
    scaled = (inputs - mean) / np.where(scale > 0, scale, 1.0)
    network = MLPRegressor(random_state=seed, **_NETWORK)
    with threadpool_limits(1), warnings.catch_warnings():
        # Few rounds are intended: more gain little and take long.
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(scaled, (targets - targets.mean()) / targets.std())
    layers = litert.fold_scaling(
        litert.from_sklearn(network),
        input_mean=mean,
        input_scale=scale,
        output_mean=float(targets.mean()),
        output_scale=float(targets.std()),
    )
    return ModelFile(
        format="tflite",
        content=litert.write_network(layers, "eta"),
        packing=packing,
        output_tensors=(litert.OUTPUT,),
    )


def _network_packing(fields: Sequence[Field], contract: Contract, dataset: Dataset) -> Packing:
    features = []
    for field in fields:
        if field.name in UNSEEN_BY_NETWORK:
            continue
        missing = 0.0
        if field.kind.is_number:
            missing = round(float(np.nanmean(dataset.columns([field.name])[field.name])), 6)
        features.append(Feature(field.name, _encoding(field, "onehot"), missing))
    return Packing(contract, [Tensor(litert.INPUT, "FP32", tuple(features))])


def _one_hot_columns(packing: Packing) -> NDArray[np.bool_]:
    columns: list[bool] = []
    for feature in packing.tensors[0].features:
        is_hot = feature.encode == "onehot"
        field = packing.contract.fields[packing.contract.field_index(feature.field)]
        columns += [is_hot] * (len(field.allowed or ()) if is_hot else 1)
    return np.array(columns)


def _encoding(field: Field, of_category: str) -> str:
    return of_category if field.kind.is_text else "value"

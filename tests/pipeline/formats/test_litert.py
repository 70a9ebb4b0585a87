"""LiteRT files against NumPy, through the real interpreter."""

from itertools import pairwise

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neural_network import MLPRegressor

from gnomon.pipeline.formats.litert import (
    INPUT,
    OUTPUT,
    Dense,
    fold_scaling,
    forward,
    from_sklearn,
    write_network,
)


def random_network(sizes, seed):
    rng = np.random.default_rng(seed)
    return [
        Dense(
            rng.normal(size=(inputs, outputs)) / np.sqrt(inputs),
            rng.normal(size=outputs),
            relu=position < len(sizes) - 2,
        )
        for position, (inputs, outputs) in enumerate(pairwise(sizes))
    ]


def run(model, rows):
    interpreter = Interpreter(model_content=model)
    source = interpreter.get_input_details()[0]
    interpreter.resize_tensor_input(source["index"], rows.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(source["index"], rows)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=5),
    rows=st.integers(1, 70),
    seed=st.integers(0, 2**32 - 1),
)
def test_interpreter_agrees_with_numpy(sizes, rows, seed):
    layers = random_network(sizes, seed)
    inputs = np.random.default_rng(seed + 1).normal(size=(rows, sizes[0])).astype(np.float32)
    got = run(write_network(layers), inputs)
    assert got.shape == (rows, sizes[-1])
    np.testing.assert_allclose(got, forward(layers, inputs), rtol=1e-5, atol=1e-5)


def test_signature_of_the_file():
    model = write_network(random_network([5, 8, 2], 0))
    interpreter = Interpreter(model_content=model)
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    assert (source["name"], target["name"]) == (INPUT, OUTPUT)
    assert source["shape_signature"].tolist() == [-1, 5]
    assert target["shape_signature"].tolist() == [-1, 2]
    assert source["dtype"] is np.float32


def test_same_layers_give_the_same_bytes():
    assert write_network(random_network([3, 4, 1], 7)) == write_network(
        random_network([3, 4, 1], 7)
    )


def test_scaling_is_folded_into_the_layers():
    rng = np.random.default_rng(3)
    raw = rng.normal(size=(400, 4)) * [1000, 1, 0.01, 0] + [5000, 0, -3, 8]
    labels = raw[:, 0] / 8 + 20
    mean, scale = raw.mean(axis=0), np.where(raw.std(axis=0) > 1e-9, raw.std(axis=0), 0.0)
    scaled = (raw - mean) / np.where(scale > 0, scale, 1)
    network = MLPRegressor(
        hidden_layer_sizes=(8, 8),
        max_iter=30,
        random_state=0,
        learning_rate_init=0.01,
        n_iter_no_change=40,
    )
    network.fit(scaled, (labels - labels.mean()) / labels.std())
    layers = fold_scaling(
        from_sklearn(network),
        input_mean=mean,
        input_scale=scale,
        output_mean=labels.mean(),
        output_scale=labels.std(),
    )
    expected = network.predict(scaled) * labels.std() + labels.mean()
    rows = raw.astype(np.float32)
    np.testing.assert_allclose(run(write_network(layers), rows)[:, 0], expected, rtol=1e-3)
    moved = rows.copy()
    moved[:, 3] += 100
    np.testing.assert_array_equal(
        run(write_network(layers), rows), run(write_network(layers), moved)
    )


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "at least one layer"),
        (random_network([2, 3], 0) + random_network([4, 1], 0), "layer 1 takes 4 values"),
    ],
)
def test_layers_that_do_not_fit_are_refused(layers, message):
    with pytest.raises(ValueError, match=message):
        write_network(layers)


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="finite"):
        Dense(np.array([[np.nan]]), np.zeros(1), relu=False)


def test_other_activations_are_refused():
    with pytest.raises(ValueError, match="tanh"):
        from_sklearn(MLPRegressor(activation="tanh"))

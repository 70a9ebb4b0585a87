"""Dense networks as LiteRT files (`.tflite`), written with flatbuffers alone, without TensorFlow.

The schema module is the one that `ai-edge-litert` ships (LiteRT schema, version 3). A file holds
one input `[-1, F]`, one output `[-1, O]`, float32, and one FULLY_CONNECTED operator a layer; the
ReLU is fused into it. The same layers always give the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "INPUT",
    "OUTPUT",
    "Dense",
    "fold_scaling",
    "forward",
    "from_sklearn",
    "run_network",
    "write_network",
]

INPUT = "input"
OUTPUT = "output"

_SCHEMA_VERSION = 3
#: Kernels may read weights with aligned vector loads.
_ALIGNMENT = 16


@dataclass(frozen=True)
class Dense:
    """One layer: `x @ weights + bias`, then ReLU if `relu`.

    `weights` is `(inputs, outputs)` and `bias` `(outputs,)`.
    """

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    relu: bool

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit and numbers that are not finite."""
        if self.weights.ndim != 2 or self.bias.shape != (self.weights.shape[1],):
            raise ValueError(
                f"weights {self.weights.shape} and bias {self.bias.shape} must be "
                "(inputs, outputs) and (outputs,)"
            )
        if not (np.isfinite(self.weights).all() and np.isfinite(self.bias).all()):
            raise ValueError("weights and biases must be finite")


def forward(layers: Sequence[Dense], rows: ArrayLike) -> NDArray[np.float64]:
    """Return what the network gives for rows `(N, inputs)`, in float64."""
    values = np.asarray(rows, dtype=np.float64)
    for layer in layers:
        values = values @ layer.weights + layer.bias
        if layer.relu:
            values = np.maximum(values, 0.0)
    return values


def from_sklearn(network: Any) -> list[Dense]:
    """Return the layers of a fitted `sklearn.neural_network.MLPRegressor` with ReLU.

    Raises:
        ValueError: if its activation is another one.
    """
    if network.activation not in ("relu", "identity"):
        raise ValueError(f"activation {network.activation!r} is not 'relu' or 'identity'")
    last = len(network.coefs_) - 1
    return [
        Dense(
            np.asarray(weights, np.float64),
            np.asarray(bias, np.float64),
            network.activation == "relu" and position < last,
        )
        for position, (weights, bias) in enumerate(
            zip(network.coefs_, network.intercepts_, strict=True)
        )
    ]


def fold_scaling(
    layers: Sequence[Dense],
    *,
    input_mean: NDArray[np.float64],
    input_scale: NDArray[np.float64],
    output_mean: float = 0.0,
    output_scale: float = 1.0,
) -> list[Dense]:
    """Return layers that take raw inputs and give raw outputs.

    The given ones were trained on `(x − input_mean) / input_scale` and `(y − output_mean) /
    output_scale`. An input of scale 0 never varied in training: what its weights hold was never
    learned, so they become 0.

    Args:
        layers: as they were trained.
        input_mean: float64 of shape (inputs,).
        input_scale: float64 of shape (inputs,); 0 for an input that never varied.
        output_mean: in the unit of the output.
        output_scale: in the unit of the output.
    """
    varies = input_scale > 0
    factors = np.where(varies, 1.0 / np.where(varies, input_scale, 1.0), 0.0)
    first = layers[0]
    scaled = first.weights * factors[:, None]
    folded = [Dense(scaled, first.bias - input_mean @ scaled, first.relu), *layers[1:]]
    last = folded[-1]
    if last.relu:
        raise ValueError("the last layer must have no ReLU, or its output cannot be scaled back")
    folded[-1] = Dense(last.weights * output_scale, last.bias * output_scale + output_mean, False)
    return folded


def write_network(layers: Sequence[Dense], description: str = "gnomon") -> bytes:
    """Return the bytes of a `.tflite` file.

    Raises:
        ValueError: if there is no layer, or one does not fit on the one before.
    """
    _check_chain(layers)
    model = schema.ModelT(
        version=_SCHEMA_VERSION,
        description=description,
        operatorCodes=[_fully_connected()],
        buffers=[schema.BufferT()],
    )
    tensors = [_tensor(INPUT, (-1, layers[0].weights.shape[0]), 0)]
    operators = []
    for position, layer in enumerate(layers):
        source, base = len(tensors) - 1, len(tensors)
        weights = np.ascontiguousarray(layer.weights.T, dtype="<f4")
        for name, values in (("weights", weights), ("bias", layer.bias.astype("<f4"))):
            model.buffers.append(_AlignedBuffer(values.tobytes()))
            tensors.append(_tensor(f"{name}_{position}", values.shape, len(model.buffers) - 1))
        name = OUTPUT if position == len(layers) - 1 else f"hidden_{position}"
        tensors.append(_tensor(name, (-1, layer.weights.shape[1]), 0))
        operators.append(_operator([source, base, base + 1], base + 2, layer.relu))
    model.subgraphs = [
        schema.SubGraphT(
            name="main",
            tensors=tensors,
            operators=operators,
            inputs=[0],
            outputs=[len(tensors) - 1],
        )
    ]
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def run_network(model: bytes, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the first output of a `.tflite` file for rows `(N, F)`, flat."""
    interpreter = Interpreter(model_content=model)
    source = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(source, rows.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(source, rows)
    interpreter.invoke()
    output: NDArray[np.float32] = interpreter.get_tensor(
        interpreter.get_output_details()[0]["index"]
    )
    return output.reshape(-1)


def _check_chain(layers: Sequence[Dense]) -> None:
    if not layers:
        raise ValueError("a network needs at least one layer")
    for position in range(1, len(layers)):
        given, wanted = layers[position - 1].weights.shape[1], layers[position].weights.shape[0]
        if given != wanted:
            raise ValueError(
                f"layer {position} takes {wanted} values, but layer {position - 1} gives {given}"
            )


def _fully_connected() -> Any:
    code = schema.BuiltinOperator.FULLY_CONNECTED
    return schema.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code, version=1)


def _tensor(name: str, shape: tuple[int, ...], buffer: int) -> Any:
    """Return a float32 tensor; a dimension of −1 is 1 until the interpreter resizes it."""
    tensor = schema.TensorT(
        name=name,
        type=schema.TensorType.FLOAT32,
        buffer=buffer,
        shape=[max(size, 1) for size in shape],
        hasRank=True,
    )
    if -1 in shape:
        tensor.shapeSignature = list(shape)
    return tensor


def _operator(inputs: list[int], output: int, relu: bool) -> Any:
    activation = schema.ActivationFunctionType
    return schema.OperatorT(
        opcodeIndex=0,
        inputs=inputs,
        outputs=[output],
        builtinOptionsType=schema.BuiltinOptions.FullyConnectedOptions,
        builtinOptions=schema.FullyConnectedOptionsT(
            fusedActivationFunction=activation.RELU if relu else activation.NONE
        ),
    )


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    """A buffer whose data are on a boundary of 16 bytes; the generated code aligns to 1."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self._content = content

    def Pack(self, builder: Any) -> Any:  # noqa: N802 (the schema module's name)
        """Write the buffer and return its offset."""
        builder.StartVector(1, len(self._content), _ALIGNMENT)
        builder.head = builder.head - len(self._content)
        builder.Bytes[builder.head : builder.head + len(self._content)] = self._content
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)

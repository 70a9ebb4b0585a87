"""Builds an ONNX graph of 64-bit numbers in columns `(rows, 1)`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

__all__ = ["Graph"]

_OPSET, _ML_OPSET, _IR = 17, 3, 9


class Graph:
    """Nodes and constants by name; the same call on the same names gives the same name."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: dict[tuple[str, bytes, tuple[int, ...]], Any] = {}
        self._known: dict[Any, str] = {}

    def constant(self, values: Any, dtype: str = "float64") -> str:
        """Return the name of a constant."""
        array = np.asarray(values, dtype)
        key = (dtype, array.tobytes(), array.shape)
        if key not in self._constants:
            name = f"c{len(self._constants)}"
            self._constants[key] = numpy_helper.from_array(array, name)
        return str(self._constants[key].name)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Return the name of an operator's output."""
        key = (operator, inputs, repr(sorted(attributes.items())))
        if key not in self._known:
            self._known[key] = name = f"t{len(self._nodes)}"
            domain = "ai.onnx.ml" if operator == "TreeEnsembleRegressor" else ""
            node = helper.make_node(operator, list(inputs), [name], domain=domain, **attributes)
            self._nodes.append(node)
        return self._known[key]

    def name(self, tensor: str, name: str) -> None:
        """Give a tensor the name of one of the graph's outputs."""
        self._nodes.append(helper.make_node("Identity", [tensor], [name]))

    # What columns are made of, and what is asked of them.

    def column(self, matrix: str, index: int) -> str:
        """Return one column of a matrix, as `(rows, 1)`."""
        return self.add("Gather", matrix, self.constant([index], "int64"), axis=1)

    def number(self, value: float) -> str:
        """Return a constant that broadcasts with columns."""
        return self.constant([[value]])

    def real(self, truth: str) -> str:
        """Return booleans as 1 and 0."""
        return self.add("Cast", truth, to=TensorProto.DOUBLE)

    def is_missing(self, column: str) -> str:
        """Return whether each row of a column is missing."""
        return self.add("IsNaN", column)

    def where(self, truth: str, one: str, other: str) -> str:
        """Return one column if a condition is true, otherwise the other, row by row."""
        return self.add("Where", truth, one, other)

    def is_all_rows(self) -> str:
        """Return a column of ones, by which a constant is broadcast to every row."""
        missing = self.is_missing(self.column("input", 0))
        return self.where(missing, self.number(1.0), self.number(1.0))

    def total(self, columns: Sequence[str]) -> str:
        """Return the sum of columns."""
        found = columns[0]
        for column in columns[1:]:
            found = self.add("Add", found, column)
        return found

    def to_bytes(self, width: int, outputs: dict[str, tuple[int, int]]) -> bytes:
        """Return the model over `input`; `outputs` gives element type and width by name."""
        graph = helper.make_graph(
            self._nodes,
            "gnomon",
            [helper.make_tensor_value_info("input", TensorProto.DOUBLE, [None, width])],
            [
                helper.make_tensor_value_info(name, kind, [None, columns])
                for name, (kind, columns) in outputs.items()
            ],
            list(self._constants.values()),
        )
        model = helper.make_model(
            graph,
            opset_imports=[
                helper.make_opsetid("", _OPSET),
                helper.make_opsetid("ai.onnx.ml", _ML_OPSET),
            ],
            ir_version=_IR,
            producer_name="gnomon",
        )
        return bytes(model.SerializeToString(deterministic=True))

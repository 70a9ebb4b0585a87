"""A packing of tensors that are served as they are: no fields are packed into them.

Each field of the inputs is one of the engine's tensors, in its own datatype and shape. What the
contract of such a package checks and counts of a tensor is its mean.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import numpy as np

from gnomon.runtime.errors import PackageError
from gnomon.runtime.raw_tensors import ELEMENT_TYPES, TEXT

__all__ = ["FirstAxis", "ServedTensors", "TensorField", "read_served_tensors"]

_RANK = 7

#: What the first axis of the tensors is; see `ServedTensors`.
FirstAxis = Literal["rows", "one_row", "none"]


class TensorField(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the engine's tensors.

    Attributes:
        name: of the field that clients know.
        tensor: its name in the model.
        datatype: of the Open Inference Protocol; BF16 is not among them.
        shape: of one row, without the axis of rows; -1 is any length.
    """

    name: str
    tensor: str
    datatype: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse what no tensor is."""
        if self.datatype != TEXT and self.datatype not in ELEMENT_TYPES:
            raise ValueError(f"datatype {self.datatype!r} is unknown")
        if len(self.shape) > _RANK or any(length < -1 for length in self.shape):
            raise ValueError(f"a shape should be at most {_RANK} lengths of -1 or more")

    @property
    def dtype(self) -> "np.dtype[Any]":
        """Return NumPy's type of an element; object for texts."""
        return np.dtype(ELEMENT_TYPES.get(self.datatype, "O"))


class ServedTensors(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The tensors of a model in its own order, and what their first axis is.

    Attributes:
        served_tensors: the inputs.
        first_axis: "rows": each of the model's tensors has the rows of a call as its first axis;
            "one_row": the same, and the model takes one row at a time; "none": the model takes one
            row at a time, and its tensors have no axis of rows.
    """

    served_tensors: tuple[TensorField, ...]
    first_axis: FirstAxis

    def to_dict(self) -> dict[str, Any]:
        """Return the packing in plain JSON types."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def read_served_tensors(packing: Mapping[str, Any]) -> ServedTensors | None:
    """Return the tensors that a manifest's packing serves as they are; None if it packs fields.

    Raises:
        PackageError: they are not valid; the message has the path of the offending key.
    """
    if "served_tensors" not in packing:
        return None
    try:
        return msgspec.convert(packing, ServedTensors)
    except (msgspec.ValidationError, ValueError) as error:
        raise PackageError(f"packing: {error}") from error

"""What a model file by itself tells, and the signature of what it is served as."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gnomon.core.fields import Field, Kind
from gnomon.core.packing import Packing
from gnomon.core.profiling import build_reference
from gnomon.core.reference import Reference
from gnomon.runtime.packages.manifest import Signature, TensorSpec
from gnomon.runtime.packages.profile import Profile
from gnomon.runtime.packages.served_tensors import ServedTensors

__all__ = ["RawModel", "no_reference", "signature"]

#: Open Inference Protocol datatypes of what is not an integer; texts of any kind are BYTES.
_DATATYPES = {
    Kind.BOOL: "BOOL",
    Kind.FLOAT32: "FP32",
    Kind.FLOAT64: "FP64",
    Kind.VECTOR: "FP32",
    Kind.TENSOR: "FP32",
}


@dataclass(frozen=True, slots=True)
class RawModel:
    """What a model's own tensors say: how fields become them, a profile, rows that it answers.

    `left_out` names outputs that are not numbers, which no package has. `served` has the inputs if
    they are served as they are; then the packing is empty. `notes` say what was changed in the
    file.
    """

    format: str
    content: bytes
    packing: Packing
    output_tensors: tuple[str, ...]
    profile: Profile
    rows: tuple[dict[str, Any], ...]
    left_out: tuple[str, ...]
    signature: Signature
    served: ServedTensors | None = None
    notes: tuple[str, ...] = ()


def signature(profile: Profile) -> Signature:
    """Return what clients of this profile send and get: one tensor a field."""
    return Signature(
        inputs=tuple(_tensor(column) for column in profile.inputs),
        outputs=tuple(_tensor(column) for column in profile.outputs),
    )


def _tensor(column: Field) -> TensorSpec:
    kind = column.kind
    datatype = kind.value.upper() if kind.is_integer else _DATATYPES.get(kind, "BYTES")
    return TensorSpec(name=column.name, datatype=datatype, shape=(-1, *(column.shape or (1,))))


def no_reference(fields: tuple[Field, ...]) -> Reference:
    """Return a reference to measure no drift against."""
    empty = {field.name: np.empty((0, *field.shape)) for field in fields}
    return build_reference(fields, empty, pairs="none")

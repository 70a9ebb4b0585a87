"""Values that no tensor of a datatype has, for both protocols."""

from typing import Any

__all__ = ["BAD_VALUES", "DATATYPES", "LIMITS"]

#: The datatypes of the specification.
DATATYPES = (
    *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
    *("FP16", "FP32", "FP64", "BYTES"),
)

#: Datatype of whole numbers → the least and the greatest.
LIMITS = {
    **{f"INT{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
}


def _bad() -> dict[str, tuple[str, Any]]:
    found: dict[str, tuple[str, Any]] = {
        "BOOL-text": ("BOOL", "yes"),
        "BOOL-number": ("BOOL", 2),
        "BYTES-number": ("BYTES", 1),
        "BYTES-object": ("BYTES", {}),
    }
    for datatype, (low, high) in LIMITS.items():
        found[f"{datatype}-below"] = (datatype, low - 1)
        found[f"{datatype}-above"] = (datatype, high + 1)
        found[f"{datatype}-fraction"] = (datatype, 1.5)
        found[f"{datatype}-text"] = (datatype, "a")
    for datatype in ("FP16", "FP32", "FP64"):
        found[f"{datatype}-text"] = (datatype, "a")
        found[f"{datatype}-object"] = (datatype, {})
    return found


#: Case → a datatype, and one element as JSON that no tensor of it has.
BAD_VALUES = _bad()

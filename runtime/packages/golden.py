"""Golden samples: recorded inputs with the outputs that the build saw.

One set serves the device's health check after a swap, the smoke test before deployment and an
auditor's re-execution.
"""

import math
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
import numpy as np

from gnomon.runtime.errors import GnomonError, PackageError


class GoldenMismatch(PackageError):
    """The model does not answer as it did where it was built; `details` has each difference."""


class Predictor(Protocol):
    """What can be held against golden samples; a `Model` is one."""

    @property
    def reference(self) -> str:
        """Return `name@version`."""

    def predict_row(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the outputs of one row by name."""


class Golden(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows as a client sends them, the outputs by name, and the tolerance of a comparison.

    A number agrees if it is within `absolute + relative * |expected|`; all else must be equal.
    The defaults allow for another processor's order of float32 additions.
    """

    rows: tuple[dict[str, Any], ...]
    outputs: tuple[dict[str, Any], ...]
    absolute: float = 1e-5
    relative: float = 1e-4

    def __post_init__(self) -> None:
        if len(self.rows) != len(self.outputs):
            raise ValueError(f"{len(self.rows)} rows have {len(self.outputs)} outputs")

    def check(self, model: Predictor) -> None:
        """Predict every row again.

        Raises:
            GoldenMismatch: if an answer is refused, fails, or is outside the tolerance.
        """
        differences = []
        for number, (row, expected) in enumerate(zip(self.rows, self.outputs, strict=True)):
            try:
                actual = model.predict_row(row)
            except GnomonError as error:
                differences.append({"row": number, "expected": expected, "got": str(error)})
                continue
            differences += [
                {"row": number, "output": name, "expected": value, "got": actual.get(name)}
                for name, value in expected.items()
                if not self._agree(value, actual.get(name))
            ]
        if differences:
            first = differences[0]
            raise GoldenMismatch(
                f"{model.reference} does not reproduce its golden samples: {len(differences)} "
                f"differences in {len(self.rows)} rows; row {first['row']}: expected "
                f"{first['expected']!r} ± ({self.absolute:g} + {self.relative:g} of it), "
                f"got {first['got']!r}",
                details=differences,
            )

    def agrees(self, expected: Mapping[str, Any], actual: Mapping[str, Any]) -> bool:
        """Whether all expected outputs are there, each within the tolerance."""
        return all(self._agree(value, actual.get(name)) for name, value in expected.items())

    def _agree(self, expected: Any, actual: Any) -> bool:
        if isinstance(actual, np.ndarray | np.generic):
            actual = actual.tolist()
        if isinstance(expected, list):
            values = list(actual) if actual is not None else []
            return len(values) == len(expected) and all(
                self._agree(one, other) for one, other in zip(expected, values, strict=True)
            )
        if isinstance(expected, bool | str) or expected is None:
            return bool(expected == actual)
        if not isinstance(actual, int | float):
            return False
        margin = self.absolute + self.relative * abs(expected)
        return math.isfinite(actual) and abs(actual - expected) <= margin


def encode_golden(golden: Golden) -> bytes:
    """Return golden samples as JSON; equal samples, equal bytes. NaN becomes null: missing."""
    return msgspec.json.format(msgspec.json.encode(golden, enc_hook=_plain), indent=2) + b"\n"


def _plain(value: Any) -> Any:
    """Return NumPy's values as Python's."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"golden samples hold plain values, not {type(value).__name__}")


def decode_golden(data: bytes) -> Golden:
    """Read golden samples.

    Raises:
        PackageError: if they are not valid; the message has the path of the offending key.
    """
    try:
        return msgspec.json.decode(data, type=Golden)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise PackageError(f"golden.json is not valid: {error}") from error

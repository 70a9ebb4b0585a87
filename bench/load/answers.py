"""Which answers are right: those equal to golden outputs, within a tolerance."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.bench.load.requests import outputs_of
from gnomon.bench.load.target import LoadTarget
from gnomon.runtime.errors import ConfigurationError, PackageError
from gnomon.runtime.packages.golden import Golden, decode_golden

__all__ = ["AnswerCheck", "read_golden"]


@dataclass(frozen=True)
class AnswerCheck:
    """What each row's outputs should be; a number agrees within absolute + relative · |expected|.

    Without golden outputs the first answer to each row is the expected one, and only equality of
    what was answered is known, not whether it is right.
    """

    target: LoadTarget
    expected: Sequence[Mapping[str, Any]]
    absolute: float
    relative: float
    is_golden: bool

    @classmethod
    def of_first_answers(cls, target: LoadTarget, answers: Sequence[bytes]) -> "AnswerCheck":
        """Expect what the server answered first to each row."""
        expected = []
        for number, answer in enumerate(answers):
            try:
                expected.append(outputs_of(target, answer))
            except ValueError as error:
                raise ConfigurationError(f"the answer to row {number}: {error}") from error
        return cls(target, expected, 1e-5, 1e-4, is_golden=False)

    @classmethod
    def of_golden(cls, target: LoadTarget, golden: Golden) -> "AnswerCheck":
        """Expect golden outputs."""
        return cls(target, golden.outputs, golden.absolute, golden.relative, is_golden=True)

    def fault(self, row: int, answer: bytes) -> str | None:
        """Return what is wrong with an answer to a row (of gRPC without its prefix), or None."""
        try:
            outputs = outputs_of(self.target, answer)
        except ValueError as error:
            return f"row {row}: {error}"
        for name, expected in self.expected[row].items():
            if name not in outputs:
                return f"row {row}: there is no output {name!r}"
            wanted = np.asarray(expected, dtype=object).ravel().tolist()
            got = outputs[name]
            if len(got) != len(wanted) or not all(map(self._agrees, got, wanted)):
                return f"row {row}: {name!r} is {got[:3]}, expected {wanted[:3]}"
        return None

    def _agrees(self, got: Any, wanted: Any) -> bool:
        is_number = isinstance(wanted, int | float) and not isinstance(wanted, bool)
        if not is_number or not isinstance(got, int | float):
            return bool(got == wanted)
        if math.isnan(wanted) or math.isnan(got):
            return math.isnan(wanted) and math.isnan(got)
        return bool(
            got == wanted or abs(got - wanted) <= self.absolute + self.relative * abs(wanted)
        )


def read_golden(path: Path) -> Golden:
    """Read golden rows and outputs: a file as `golden.json` of a package, or a package's folder.

    Raises:
        ConfigurationError: the file cannot be read, or has no rows.
    """
    file = path / "golden.json" if path.is_dir() else path
    try:
        golden = decode_golden(file.read_bytes())
    except (OSError, ValueError, PackageError) as error:
        raise ConfigurationError(f"{file} cannot be read as golden rows: {error}") from error
    if not golden.rows:
        raise ConfigurationError(f"{file} has no golden rows")
    return golden

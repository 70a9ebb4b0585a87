"""Windows that the detectors' tests share."""

from collections.abc import Callable

import numpy as np
import pytest

from gnomon.core.reference import FieldReference
from tests.support.references import Counts, cells, numeric_reference

Window = Callable[..., Counts]


@pytest.fixture
def speed() -> FieldReference:
    return numeric_reference()


@pytest.fixture
def window(speed: FieldReference) -> Window:
    generator = np.random.default_rng(1)

    def draw(
        shift: float = 0.0, spread: float = 1.0, gone: float = 0.01, rows: int = 500
    ) -> Counts:
        values = shift + spread * generator.standard_normal(rows)
        values[generator.random(rows) < gone] = np.nan
        return cells(speed, values)

    return draw

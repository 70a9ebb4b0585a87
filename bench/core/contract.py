"""The contract against comparable libraries, in CPU time: `python -m gnomon.bench.core.contract`.

Rounds alternate between Gnomon and its peer in one process, so that other load on the machine
affects both. The figures are the least CPU time of the rounds.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnomon.bench.core.contract_oracle import naive_row
from gnomon.core.contract import Contract
from gnomon.core.fields import Field, Kind

__all__ = ["CostComparison", "main", "run"]

ROWS = 10_000
ROUNDS = 40
CARRIERS = ("UA", "AA", "DL", "B6", "EV", "MQ")
AIRPORTS = ("JFK", "LGA", "EWR")


@dataclass(frozen=True, slots=True)
class CostComparison:
    """One comparison. `ours` and `peer` are ns of CPU time per `unit`; NaN if the peer is absent.

    `must` is the greatest ratio that keeps the promise, None for none.
    """

    what: str
    unit: str
    ours: float
    peer: float
    must: float | None = None

    @property
    def ratio(self) -> float:
        """Our cost in the peer's."""
        return self.ours / self.peer

    def __str__(self) -> str:
        must = "" if self.must is None else f"  must be <= {self.must}"
        figures = f"{self.ours:10.2f} {self.peer:10.2f} ns/{self.unit:5}  x {self.ratio:.3f}"
        return f"{self.what:62} {figures}{must}"


def run(rounds: int = ROUNDS) -> list[CostComparison]:
    """Measure all comparisons; peers that are not installed are reported with NaN."""
    return [*_rows(rounds), *_columns(rounds), _pandera_columns(min(rounds, 10))]


def main() -> None:
    """Print the comparisons."""
    for result in run():
        print(result)


def _least(ours: Callable[[], Any], peer: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """Return the least CPU time in ns of both, run in turn."""
    best = [math.inf, math.inf]
    for _ in range(rounds):
        for place, call in enumerate((ours, peer)):
            start = time.process_time_ns()
            call()
            best[place] = min(best[place], time.process_time_ns() - start)
    return best[0], best[1]


def _repeat(call: Callable[[], Any], times: int) -> Callable[[], None]:
    def loop() -> None:
        for _ in range(times):
            call()

    return loop


def _contract() -> Contract:
    numbers = [
        Field(name=f"float_{index}", kind=Kind.FLOAT64, minimum=0, maximum=1000)
        for index in range(6)
    ]
    wholes = [
        Field(name=f"whole_{index}", kind=Kind.INT64, minimum=0, maximum=1000) for index in range(2)
    ]
    rest = [
        Field(name="carrier", kind=Kind.CATEGORY, allowed=CARRIERS),
        Field(name="origin", kind=Kind.CATEGORY, allowed=AIRPORTS),
        Field(name="weekend", kind=Kind.BOOL),
        Field(name="tail_number", kind=Kind.STRING, maximum_length=8),
    ]
    return Contract([*numbers, *wholes, *rest])


def _mapping() -> dict[str, Any]:
    floats = {f"float_{index}": 10.5 * index for index in range(6)}
    rest = {"carrier": "B6", "origin": "EWR", "weekend": False, "tail_number": "N14228"}
    return {**floats, "whole_0": 5, "whole_1": 17, **rest}


def _rows(rounds: int) -> list[CostComparison]:
    contract, mapping = _contract(), _mapping()
    row = contract.new_row()
    assert contract.check_row(mapping, row) is None  # noqa: S101
    ranged = Annotated[float, msgspec.Meta(ge=0, le=1000)]
    whole = Annotated[int, msgspec.Meta(ge=0, le=1000)]
    short = Annotated[str, msgspec.Meta(max_length=8)]
    kinds = [ranged] * 6 + [whole] * 2 + [str, str, bool, short]
    # A Struct is msgspec's fastest target, and plain texts are less work than ours.
    target = msgspec.defstruct("target", list(zip(mapping, kinds, strict=True)))
    check, convert = contract.check_row, msgspec.convert
    backwards = dict(reversed(mapping.items()))
    decoded = msgspec.json.decode(msgspec.json.encode(mapping))

    def ours(given: dict[str, Any]) -> Callable[[], None]:
        return _repeat(lambda: check(given, row), 2000)

    def peer(given: dict[str, Any]) -> Callable[[], None]:
        return _repeat(lambda: convert(given, target), 2000)

    def twin() -> None:
        for _ in range(100):
            naive_row(contract.fields, (), mapping)

    results = []
    for name, given in (("", mapping), (" in another order", backwards), (" from JSON", decoded)):
        first, second = _least(ours(given), peer(given), rounds)
        what = f"row of 12 fields{name}, beside msgspec.convert (types, ranges)"
        results.append(
            CostComparison(what, "row", first / 2000, second / 2000, None if name else 0.9)
        )
    first, second = _least(ours(mapping), twin, min(rounds, 10))
    results.append(
        CostComparison("row of 12 fields, beside plain Python", "row", first / 2000, second / 100)
    )
    results.append(_pydantic_row(contract, mapping, rounds))
    return results


def _pydantic_row(contract: Contract, mapping: dict[str, Any], rounds: int) -> CostComparison:
    what = "row of 12 fields, beside a pydantic TypedDict (types, ranges)"
    row = contract.new_row()
    try:
        import pydantic
        from typing_extensions import TypedDict
    except ImportError:
        return CostComparison(what + ": NOT INSTALLED", "row", math.nan, math.nan)
    ranged = Annotated[float, pydantic.Field(ge=0, le=1000)]
    whole = Annotated[int, pydantic.Field(ge=0, le=1000)]
    kinds: list[Any] = [ranged] * 6 + [whole] * 2 + [str, str, bool, str]
    target = TypedDict("target", dict(zip(mapping, kinds, strict=True)))  # type: ignore[misc]  # noqa: UP013
    validate = pydantic.TypeAdapter(target).validate_python
    ours = _repeat(lambda: contract.check_row(mapping, row), 2000)
    first, second = _least(ours, _repeat(lambda: validate(mapping), 2000), rounds)
    return CostComparison(what, "row", first / 2000, second / 2000)


def _column_fields() -> list[Field]:
    numbers = [
        Field(name=f"float_{index}", kind=Kind.FLOAT64, minimum=0, maximum=1) for index in range(8)
    ]
    wholes = [
        Field(name=f"whole_{index}", kind=Kind.INT64, minimum=0, maximum=1000) for index in range(2)
    ]
    listed = [
        Field(name=f"listed_{index}", kind=Kind.INT32, allowed=(1, 2, 3, 5, 8, 13))
        for index in range(2)
    ]
    return [*numbers, *wholes, *listed]


def _column_data(rows: int) -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(0)
    data: dict[str, NDArray[Any]] = {}
    for field in _column_fields():
        if field.kind is Kind.FLOAT64:
            data[field.name] = random.random(rows)
        elif field.allowed is None:
            data[field.name] = random.integers(0, 1001, rows)
        else:
            data[field.name] = random.choice(np.array(field.allowed, dtype=np.int32), rows)
    return data


def _columns(rounds: int) -> list[CostComparison]:
    contract, data = Contract(_column_fields()), _column_data(ROWS)
    values = ROWS * len(data)
    what = "10,000 rows x 12 columns, beside a Numba loop"
    try:
        loop = _numba_loop()
    except ImportError:
        return [CostComparison(what + ": NOT INSTALLED", "value", math.nan, math.nan, 1.0)]
    arrays = tuple(data.values())
    assert contract.check_columns(data)[1] is None  # noqa: S101
    assert loop(arrays) == 0  # noqa: S101

    def ours() -> None:
        for _ in range(5):
            contract.check_columns(data)

    def peer() -> None:
        for _ in range(5):
            loop(arrays)

    first, second = _least(ours, peer, rounds)
    results = [CostComparison(what, "value", first / values / 5, second / values / 5, 1.0)]
    dirty = {name: array.copy() for name, array in data.items()}
    for array in dirty.values():
        array[:: ROWS // 100] = -5
    found = contract.check_columns(dirty)[1]
    assert found is not None and len(found) == loop(tuple(dirty.values()))  # noqa: S101
    dirty_arrays = tuple(dirty.values())
    first, second = _least(
        lambda: contract.check_columns(dirty), lambda: loop(dirty_arrays), rounds
    )
    what = "the same with 1 % of all values broken (Numba only counts them)"
    results.append(CostComparison(what, "value", first / values, second / values))
    return results


def _pandera_columns(rounds: int) -> CostComparison:
    """Compare the same checks with a pandera schema of a data frame."""
    what = "10,000 rows x 12 columns, beside a pandera schema"
    contract, data = Contract(_column_fields()), _column_data(ROWS)
    values = ROWS * len(data)
    try:
        import pandas
        import pandera.pandas as pandera
    except ImportError:
        return CostComparison(what + ": NOT INSTALLED", "value", math.nan, math.nan)
    columns: dict[str, Any] = {}
    for field in _column_fields():
        if field.allowed is None:
            check = pandera.Check.in_range(field.minimum, field.maximum)
        else:
            check = pandera.Check.isin(field.allowed)
        columns[field.name] = pandera.Column(str(data[field.name].dtype), check)
    schema, frame = pandera.DataFrameSchema(columns), pandas.DataFrame(data)
    first, second = _least(
        lambda: contract.check_columns(data), lambda: schema.validate(frame), rounds
    )
    return CostComparison(what, "value", first / values, second / values)


def _numba_loop() -> Callable[[tuple[NDArray[Any], ...]], int]:
    """Compile the same checks, fused per column as one would write them."""
    import numba

    allowed = np.zeros(14, dtype=np.bool_)
    allowed[[1, 2, 3, 5, 8, 13]] = True

    @numba.njit
    def floats(values: Any) -> int:
        bad = 0
        for value in values:
            if math.isnan(value) or value < 0.0 or value > 1.0:
                bad += 1
        return bad

    @numba.njit
    def wholes(values: Any) -> int:
        bad = 0
        for value in values:
            if value < 0 or value > 1000:
                bad += 1
        return bad

    @numba.njit
    def listed(values: Any, table: Any) -> int:
        bad = 0
        for value in values:
            if value < 0 or value > 13 or not table[value]:
                bad += 1
        return bad

    def loop(arrays: tuple[NDArray[Any], ...]) -> int:
        bad = sum(floats(array) for array in arrays[:8])
        bad += sum(wholes(array) for array in arrays[8:10])
        return int(bad + sum(listed(array, allowed) for array in arrays[10:]))

    return loop


if __name__ == "__main__":
    main()

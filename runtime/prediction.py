"""What a caller asks for and gets: a request, one answer, or the answers of many rows."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from numpy.typing import NDArray

from gnomon.runtime.notebook import ROWS, draw_facts, draw_table

if TYPE_CHECKING:
    from gnomon.core.contract.violations import Violation


class PredictRequest(msgspec.Struct, frozen=True):
    """One row, or the columns of many, to be predicted.

    Attributes:
        inputs: one row, value by field; or columns, an array or list by field.
        request_id: what labels will be joined by.
        key: whose answers stick to one target (a customer); None: by chance.
        at: the data's own time, epoch seconds or datetime (naive: UTC); None: now.
        version: which of the route's versions is to answer; empty: as the route has it.
        bucket: the traffic bucket, 0 to 999, if one was chosen already.
        started_ns: `time.perf_counter_ns` of the call; 0: it begins when it is executed.
        is_divisible: whether the caller asks for the rows one by one if not all can be answered
            together; nothing is counted until then.
    """

    inputs: Mapping[str, Any]
    request_id: str
    key: str | None = None
    at: datetime | float | None = None
    version: str = ""
    bucket: int | None = None
    started_ns: int = 0
    is_divisible: bool = False


class Prediction(msgspec.Struct, frozen=True):
    """The answer for one row.

    Attributes:
        outputs: value by the output's name: a float, an int, a text for a category, a list for a
            vector.
        model: the answering package's name.
        version: its version.
        digest: its digest.
        request_id: the caller's, or one made here; labels that come later are joined by it.
        violations: what was corrected or flagged; a refused row raises `InvalidInput` instead.
        fallback: why one of the route's fallbacks answered, or None if the target did.
        latency_ns: nanoseconds from call to answer.
        fallback_by: which one: `name@version` of another package, "rule" or "constant"; the last
            two answer in the name of the package that failed.
    """

    outputs: dict[str, Any]
    model: str
    version: str
    digest: str
    request_id: str
    violations: "tuple[Violation, ...]"
    fallback: str | None
    latency_ns: int
    fallback_by: str | None = None

    def _repr_html_(self) -> str:
        """Return the outputs and what is to be known of them, for a notebook."""
        facts = [*self.outputs.items(), *_about(self)]
        return draw_facts(f"Answer of {self.model}@{self.version}", facts)


class Predictions(msgspec.Struct, frozen=True):
    """The answers for the rows of one request, all by the same package.

    Attributes:
        outputs: array by the output's name, one entry a row; object arrays of texts for categories.
        rows: how many.
        request_id: row i of more than one is joined to labels by `f"{request_id}/{i}"`.
        violations: what was corrected or flagged, with their rows.
    """

    outputs: Mapping[str, NDArray[Any]]
    model: str
    version: str
    digest: str
    request_id: str
    violations: "tuple[Violation, ...]"
    fallback: str | None
    latency_ns: int
    rows: int
    fallback_by: str | None = None

    def _repr_html_(self) -> str:
        """Return the first rows, and what is to be known of them, for a notebook."""
        names = [*self.outputs]
        rows = zip(*(self.outputs[name][:ROWS].tolist() for name in names), strict=True)
        caption = f"{self.rows} answers of {self.model}@{self.version}"
        return draw_table(caption, names, rows, self.rows) + draw_facts("", _about(self))


def _about(answer: Prediction | Predictions) -> list[tuple[str, Any]]:
    return [
        ("request", answer.request_id),
        ("milliseconds", answer.latency_ns / 1e6),
        ("fallback", answer.fallback),
        ("answered by", answer.fallback_by),
        *(("corrected or flagged", str(one)) for one in answer.violations),
    ]


def row_ids(request_id: str, rows: int) -> list[str]:
    """Return the identity of each row of a request: the request's own if there is only one."""
    if rows == 1:
        return [request_id]
    return [f"{request_id}/{row}" for row in range(rows)]

"""Whether batching pays for a model: measured on its golden rows when it is loaded."""

import logging
from typing import NamedTuple

from gnomon.runtime.models.columns import columns_of
from gnomon.runtime.models.model import Model
from gnomon.runtime.models.speed import quickest_ns

logger = logging.getLogger("gnomon.runtime")

#: What it costs a row to be gathered with others: two threads' turns and the columns' way.
GATHERING_NS = 300_000


class BatchingBenefit(NamedTuple):
    """Nanoseconds of the engine for a row alone, and for each of many together."""

    alone_ns: float
    together_ns: float

    @property
    def pays(self) -> bool:
        """Whether gathering saves more than it costs."""
        return self.alone_ns > self.together_ns + GATHERING_NS


def decide_batching(model: Model) -> None:
    """Measure a model that is to be batched; switch batching off if it does not pay, and log it."""
    batching = model.batching
    if batching is None or not model.package.golden.rows:
        return
    benefit = _measure(model, batching.max_rows)
    if benefit.pays:
        return
    model.batching = None
    logger.info(
        "%s is not batched: the engine takes %.0f µs for a row alone and %.0f µs for each of %d, "
        "but gathering them costs about %.0f µs each",
        model.reference,
        benefit.alone_ns / 1e3,
        benefit.together_ns / 1e3,
        batching.max_rows,
        GATHERING_NS / 1e3,
    )


def _measure(model: Model, rows: int) -> BatchingBenefit:
    """Return the quickest of some runs, alone and together, by the engine's own time."""
    golden = model.package.golden.rows
    many = columns_of([golden[number % len(golden)] for number in range(rows)])
    single, _ = model.inputs.check_columns(columns_of(golden[:1]))
    columns, _ = model.inputs.check_columns(many)
    packed = model.packing.pack_columns(single), model.packing.pack_columns(columns)
    engine = model.engine
    try:
        alone_ns = quickest_ns(lambda: engine.run(packed[0]), engine.works_in_caller)
        together_ns = quickest_ns(lambda: engine.run(packed[1]), engine.works_in_caller)
    except Exception:
        # A model whose batch is fixed at one row; its calls go alone, as ever.
        return BatchingBenefit(0.0, 0.0)
    return BatchingBenefit(alone_ns, together_ns / rows)

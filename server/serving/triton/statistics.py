"""Triton's model statistics, from the recorder's counts.

A request is measured as a whole within the runtime: `compute_infer` includes checks, engine and
counting. Queueing, and the reading and writing of tensors, are not measured; their times are 0.
The times of failures are 0 too; their number is exact.
"""

from collections.abc import Iterable, Mapping

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.recording.series_records import SeriesKey
from gnomon.runtime.recording.series_totals import SeriesTotals


def statistics_of(
    route: str, versions: Mapping[str, str], series_totals: Mapping[SeriesKey, SeriesTotals]
) -> list[oip.ModelStatistics]:
    """Return the statistics of a route's packages, one for each version.

    `versions` has the version of each digest. Shadow calls are left out.
    """
    found: dict[str, list[SeriesTotals]] = {version: [] for version in versions.values()}
    for key, totals in series_totals.items():
        if key.route == route and not key.shadow and key.digest in versions:
            found[versions[key.digest]].append(totals)
    return [_statistics(route, version, found[version]) for version in sorted(found)]


def _statistics(
    route: str, version: str, series_totals: Iterable[SeriesTotals]
) -> oip.ModelStatistics:
    succeeded = failed = rows = nanoseconds = 0
    for totals in series_totals:
        succeeded += totals.calls["answered"] + totals.calls["fallback"]
        failed += totals.calls["refused"] + totals.calls["failed"]
        rows += totals.rows["answered"] + totals.rows["fallback"]
        nanoseconds += totals.latency_ns
    unmeasured = oip.StatisticDuration(count=succeeded)
    return oip.ModelStatistics(
        name=route,
        version=version,
        inference_count=rows,
        execution_count=succeeded,
        inference_stats=oip.InferStatistics(
            success=oip.StatisticDuration(count=succeeded, ns=nanoseconds),
            fail=oip.StatisticDuration(count=failed),
            queue=unmeasured,
            compute_input=unmeasured,
            compute_infer=oip.StatisticDuration(count=succeeded, ns=nanoseconds),
            compute_output=unmeasured,
        ),
    )

"""Triton's statistics of models, from what the recorder counts anyway.

A request is measured as a whole, within the runtime: checks, engine and counting together stand
under `compute_infer`. Its waiting, and the reading and writing of its tensors, are not measured:
their times are 0. So are those of failures, whose number is exact.
"""

from collections.abc import Iterable, Mapping

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.recording.series import SeriesKey
from gnomon.runtime.recording.tally import Tally


def statistics_of(
    route: str, versions: Mapping[str, str], tallies: Mapping[SeriesKey, Tally]
) -> list[oip.ModelStatistics]:
    """Return the statistics of a route's packages, one for each version.

    `versions` has the version of each digest; what a shadow counted is nobody's request.
    """
    found: dict[str, list[Tally]] = {version: [] for version in versions.values()}
    for key, tally in tallies.items():
        if key.route == route and not key.shadow and key.digest in versions:
            found[versions[key.digest]].append(tally)
    return [_statistics(route, version, found[version]) for version in sorted(found)]


def _statistics(route: str, version: str, tallies: Iterable[Tally]) -> oip.ModelStatistics:
    succeeded = failed = rows = nanoseconds = 0
    for tally in tallies:
        succeeded += tally.calls["answered"] + tally.calls["fallback"]
        failed += tally.calls["refused"] + tally.calls["failed"]
        rows += tally.rows["answered"] + tally.rows["fallback"]
        nanoseconds += tally.latency_ns
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

"""The benchmark of predictions runs, and measures what it says."""

from gnomon.bench.core import predict


def test_benchmark_measures_every_way() -> None:
    results = predict.run(rounds=1)
    assert len(results) == 4
    assert all(result.ours > 0 and result.peer > 0 for result in results[1:])
    assert results[0].must == 1.0

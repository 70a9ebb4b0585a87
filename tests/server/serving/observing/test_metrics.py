"""Metrics: exactly what the recorder counted, over all frontends, and never less than before."""

import math
from bisect import bisect_left
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from gnomon import Client
from gnomon.core.cells import latency
from gnomon.runtime.errors import InvalidInput
from gnomon.runtime.recording.series_totals import SeriesTotals
from gnomon.server.serving.admission.admission import Admission
from gnomon.server.serving.admission.authentication import Authentication
from gnomon.server.serving.admission.tracing import OpenTelemetry
from gnomon.server.serving.native.frontend import NativeFrontend, why_not
from gnomon.server.serving.observing.metrics import BOUNDS, _buckets
from gnomon.server.serving.rate_limits import RateLimits
from gnomon.server.serving.rest.frontend import RestFrontend
from gnomon.server.serving.settings import FrontendSettings
from tests.support.packages import make_package

GOOD = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}
LABELS = {"model": "eta", "version": "1", "route": "eta", "shadow": "false"}
TRITON = {"model": "eta", "version": "1"}


def scrape(rest: httpx.Client) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = rest.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    found = [
        ((sample.name, frozenset(sample.labels.items())), sample.value)
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    ]
    samples = dict(found)
    assert len(samples) == len(found), "no sample comes twice"
    return samples


def value(samples: dict[Any, float], name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


def test_every_frontend_is_counted_once(served: Any, rest: httpx.Client) -> None:
    from gnomon.proto import inference_pb2 as oip

    rows = [GOOD, GOOD, GOOD | {"wind": 900}]
    rest.post("/v1/models/eta:predict", json={"instances": rows})
    rest.post("/v1/models/eta:predict", json={"instances": [GOOD | {"distance": -1}]})
    message = oip.ModelInferRequest(model_name="eta")
    for name, values in GOOD.items():
        texts = isinstance(values, str)
        tensor = message.inputs.add(name=name, datatype="BYTES" if texts else "FP64", shape=[1])
        if texts:
            tensor.contents.bytes_contents.append(values.encode())
        else:
            tensor.contents.fp64_contents.append(values)
    served.infer(message)
    for _ in range(2):
        samples = scrape(rest)
        requests = "gnomon_requests_total"
        assert value(samples, requests, **LABELS, outcome="answered") == 2
        assert value(samples, requests, **LABELS, outcome="refused") == 1
        assert value(samples, requests, **LABELS, outcome="failed") == 0
        assert value(samples, "gnomon_rows_total", **LABELS, outcome="answered") == 4
        broken = {"side": "inputs", "rule": "maximum"}
        assert value(samples, "gnomon_violations_total", **LABELS, **broken) == 1
        broken["rule"] = "minimum"
        assert value(samples, "gnomon_violations_total", **LABELS, **broken) == 1
        durations = "gnomon_request_duration_seconds"
        assert value(samples, f"{durations}_count", **LABELS) == 2
        assert value(samples, f"{durations}_bucket", **LABELS, le="+Inf") == 2
        assert (value(samples, f"{durations}_sum", **LABELS) or 0) > 0
        assert value(samples, "nv_inference_request_success", **TRITON) == 2
        assert value(samples, "nv_inference_request_failure", **TRITON, reason="REJECTED") == 1
        assert value(samples, "nv_inference_count", **TRITON) == 4
        assert (value(samples, "nv_inference_request_duration_us", **TRITON) or 0) > 0
        assert value(samples, "gnomon_requests_under_way") == 0
        # What was handed to the sink stays counted.
        served.runtime.flush()


def test_the_native_frontend_is_counted_too(served: Any, rest: httpx.Client) -> None:
    settings = FrontendSettings(port=0)
    if why_not(settings):
        pytest.skip(f"the native frontend cannot serve here: {why_not(settings)}")

    async def make() -> tuple[NativeFrontend, str]:
        frontend = NativeFrontend(served.handler, settings)
        return frontend, await frontend.open()

    frontend, address = served.run(make())
    try:
        with Client(address) as client:
            for count in (1, 2):
                for _ in range(5):
                    client.predict("eta", GOOD)
                with pytest.raises(InvalidInput):
                    client.predict("eta", GOOD | {"distance": -1})
                for _ in range(2):
                    samples = scrape(rest)
                    requests = "gnomon_requests_total"
                    assert value(samples, requests, **LABELS, outcome="answered") == 5 * count
                    assert value(samples, requests, **LABELS, outcome="refused") == count
                    durations = "gnomon_request_duration_seconds_count"
                    assert value(samples, durations, **LABELS) == 5 * count
                    served.runtime.flush()
    finally:
        served.run(frontend.close(0))


@pytest.mark.parametrize("is_scraped_before", [True, False])
@pytest.mark.parametrize("version", ["2", "1"])
def test_a_package_that_left_keeps_its_counts(
    served: Any, rest: httpx.Client, tmp_path: Any, version: str, is_scraped_before: bool
) -> None:
    from gnomon.runtime.routing.routes import single

    rest.post("/v1/models/eta:predict", json={"instances": [GOOD]})
    (old,) = served.runtime.models
    if is_scraped_before:
        scrape(rest)
    # The same name and version in another package, too: then one sample has both.
    other = make_package(tmp_path / "eta-2", None, version=version, card="another digest")
    served.runtime.load(other)
    served.runtime.apply([single("eta", other.digest)])
    served.runtime.unload(old)
    rest.post("/v1/models/eta:predict", json={"instances": [GOOD]})
    samples = scrape(rest)
    for each in {"1", version}:
        labels = LABELS | {"version": each, "outcome": "answered"}
        count = 1 if version == "2" else 2
        assert value(samples, "gnomon_requests_total", **labels) == count
        durations = "gnomon_request_duration_seconds_count"
        assert value(samples, durations, **LABELS | {"version": each}) == count
        client = {"client": "local", "route": "eta", "model": "eta", "version": each}
        assert value(samples, "gnomon_client_requests_total", **client, outcome="answered") == count


def test_buckets_are_cumulative_and_within_the_promised_error() -> None:
    totals = SeriesTotals(())
    seconds = np.random.default_rng(1).lognormal(-7, 1.5, 2_000)
    for one in seconds:
        totals.latency_counts[latency.bucket_of(int(one * 1e9))] += 1
    buckets = _buckets(totals.latency_counts)
    assert [name for name, _ in buckets] == [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
    assert buckets[-1][1] == len(seconds)
    for bound, (_, count) in zip(BOUNDS, buckets, strict=False):
        assert (seconds <= bound * (1 - 1 / 16)).sum() <= count
        assert count <= (seconds <= bound * (1 + 1 / 16)).sum()
    assert totals.latency_ns / 1e9 == pytest.approx(seconds.sum(), rel=1 / 32)


def test_names_pass_prometheus_own_advice(rest: httpx.Client) -> None:
    rest.post("/v1/models/eta:predict", json={"instances": [GOOD]})
    families = list(text_string_to_metric_families(rest.get("/metrics").text))
    ours = {family.name for family in families if family.name.startswith("gnomon_")}
    assert {"gnomon_requests", "gnomon_rows", "gnomon_request_duration_seconds"} <= ours
    assert all(family.documentation for family in families)


def test_models_tell_what_they_take_and_how_they_sleep(served: Any, rest: httpx.Client) -> None:
    (digest,) = served.runtime.models
    labels = {**TRITON, "digest": digest[:16]}

    def told(name: str) -> float | None:
        return value(scrape(rest), name, **labels)

    assert (told("gnomon_model_memory_bytes") or 0) > 0
    served.runtime.sleep({"eta"})
    assert told("gnomon_model_memory_bytes") == 0
    assert rest.post("/v1/models/eta:predict", json={"instances": [GOOD]}).status_code == 200
    assert told("gnomon_model_sleeps_total") == told("gnomon_model_wakes_total") == 1


def test_openmetrics_has_exemplars_of_traced_requests(served: Any) -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    settings = FrontendSettings(port=0)
    admission = Admission(
        Authentication(None),
        RateLimits(),
        is_known=served.handler.has_route,
        tracing=OpenTelemetry(sdk.TracerProvider()),
    )
    frontend = RestFrontend(served.handler, served.runtime, settings, 0, admission)
    frontend.open()
    try:
        with httpx.Client(base_url=frontend.url, trust_env=False, timeout=20) as client:
            trace = "4bf92f3577b34da6a3ce929d0e0e4736"
            parent = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
            body = {"instances": [GOOD]}
            assert client.post("/v1/models/eta:predict", json=body, headers=parent).is_success
            wanted = {"accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
            answer = client.get("/metrics", headers=wanted)
            assert answer.headers["content-type"].startswith("application/openmetrics-text")
            exemplars = [
                (sample.exemplar, float(sample.labels["le"]))
                for family in openmetrics_families(answer.text)
                for sample in family.samples
                if sample.exemplar
            ]
            ((exemplar, bound),) = exemplars
            assert exemplar.labels == {"trace_id": trace}
            assert bound == [*BOUNDS, math.inf][bisect_left(BOUNDS, exemplar.value)]
            plain = client.get("/metrics")
            assert plain.headers["content-type"].startswith("text/plain")
            assert trace not in plain.text
    finally:
        frontend.close(1)

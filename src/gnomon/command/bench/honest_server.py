"""`gnomon bench honest-server`: a server whose true percentiles are known."""

import json
import math
from typing import Any

import click

from gnomon.command.shared.output import json_option, show, styled
from gnomon.runtime.stop_signals import StopSignals

#: Percentiles that are shown.
PERCENTS = (50.0, 90.0, 95.0, 99.0, 99.9)


@click.command("honest-server")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Port; 0: a free one.")
@click.option(
    "--law",
    type=click.Choice(["constant", "exponential", "lognormal"]),
    default="constant",
    show_default=True,
    help="Law of the service times.",
)
@click.option(
    "--milliseconds",
    type=float,
    default=2.0,
    show_default=True,
    help="The constant, the mean of exponential, or the median of lognormal.",
)
@click.option(
    "--sigma", type=float, default=0.5, show_default=True, help="Of the logarithm, for lognormal."
)
@click.option("--stall", type=float, default=0.0, help="Seconds without work in each period.")
@click.option("--period", type=float, default=5.0, show_default=True, help="Seconds of a period.")
@click.option("--workers", type=int, default=0, help="Requests worked on at the same time; 0: all.")
@click.option(
    "--rate", type=float, default=100.0, show_default=True, help="Requests a second of the truth."
)
@click.option(
    "--arrivals",
    type=click.Choice(["constant", "poisson"]),
    default="constant",
    show_default=True,
    help="Pattern of the requests of the truth.",
)
@click.option("--seconds", type=float, help="End after this time; default: when stopped.")
@json_option
def honest_server(
    host: str,
    port: int,
    rate: float,
    arrivals: str,
    seconds: float | None,
    as_json: bool,
    **law: Any,
) -> None:
    """Serve with a known law of service times, and print the true percentiles.

    Point any load generator at the address and compare. It answers HTTP/1, HTTP/2 and gRPC on one
    port: any path, and the Open Inference Protocol for the model `honest`. The truth is that of an
    open loop at --rate; a closed loop sends less while the server stalls, and sees less of it.
    """
    from gnomon.bench.generator.arrivals import Arrivals
    from gnomon.bench.honest.law import LawKind, ServiceLaw
    from gnomon.bench.honest.server import HonestServer
    from gnomon.bench.honest.truth import true_percentiles

    kind, scale = LawKind(law.pop("law")), law.pop("milliseconds") / 1e3
    known = ServiceLaw(kind=kind, scale=scale, **law)
    truth = true_percentiles(known, PERCENTS, rate, Arrivals(arrivals))
    with HonestServer(known, host, port) as server:
        _show_start(server.address, rate, arrivals, truth, as_json=as_json)
        with StopSignals() as stop:
            stop.wait(seconds)
    _show_end(server.answered, server.lateness.percentile(99) / 1e3, as_json=as_json)


def _show_start(
    address: str, rate: float, arrivals: str, truth: tuple[float, ...], *, as_json: bool
) -> None:
    milliseconds = {
        f"p{percent:g}": 1e3 * one for percent, one in zip(PERCENTS, truth, strict=True)
    }
    if as_json:
        start = {"address": address, "rate": rate, "arrivals": arrivals, "true_ms": milliseconds}
        click.echo(json.dumps(start))
        return
    show("serving at ", styled(address, "bold"), " (gRPC, HTTP/2, HTTP/1)")
    show(f"true latency of an open loop, {rate:g} requests a second, {arrivals} arrivals:")
    for name, one in milliseconds.items():
        show(f"  {name}: {one:,.3f} ms")


def _show_end(answered: int, lateness_us: float, *, as_json: bool) -> None:
    if as_json:
        late = None if math.isnan(lateness_us) else lateness_us
        click.echo(json.dumps({"answered": answered, "own_lateness_p99_us": late}))
        return
    late_words = (
        "" if math.isnan(lateness_us) else f"; p99 of its own lateness: {lateness_us:,.0f} µs"
    )
    show(f"answered {answered}{late_words}")

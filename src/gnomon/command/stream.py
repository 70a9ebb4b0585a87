"""`gnomon stream`: a node that predicts the records of a stream."""

import json
from dataclasses import asdict
from typing import Any

import click

from gnomon.command.shared.output import json_option
from gnomon.command.shared.settings_options import load_settings, settings_command


@click.command(cls=settings_command("stream", "node", is_long_running=True))
@json_option
@click.pass_obj
def stream(config_file: str | None, /, as_json: bool, **flags: Any) -> None:
    """Predict the records of a stream: a file, a pipe, NATS JetStream or Kafka.

    Records and answers are JSON objects, one a line or message. A refused record is answered with
    the refusal and stops nothing. What was read is committed once its answers are durable. Runs
    until the source ends or it is stopped (SIGTERM, Ctrl-C).
    """
    from gnomon.server.streams.process import consume

    counts = consume(
        load_settings("stream", config_file, flags), load_settings("node", config_file, flags)
    )
    figures = asdict(counts)
    text = ", ".join(f"{count} {name}" for name, count in figures.items())
    # Standard output is for answers.
    click.echo(json.dumps(figures) if as_json else text, err=True)

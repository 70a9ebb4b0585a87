"""`gnomon pipeline`: run builds of steps, once or on a schedule, and list their runs."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gnomon.command.pipeline.progress import StepProgress
from gnomon.command.shared.listing import render_list, wide_option
from gnomon.command.shared.output import emit, json_option, show, styled, table
from gnomon.command.shared.package_options import FILE, signing_key_option
from gnomon.command.shared.settings_options import load_settings, settings_command
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.signing import Signer

if TYPE_CHECKING:
    from gnomon.pipeline.steps.record import PipelineRun

_COLUMNS = ("id", "pipeline", "state", "started_at", "seconds", "made", "error")


@click.group()
def pipeline() -> None:
    """Run builds of steps, once or on a schedule, and list their runs."""


@pipeline.command(cls=settings_command("pipeline", "builder"))
@click.argument("path", metavar="BUILD", type=FILE)
@click.option(
    "-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="May be repeated."
)
@click.option("--out", type=click.Path(path_type=Path), help="Put the packages here.")
@click.option("--publish", is_flag=True, help="Test the packages, attest it, push them to the hub.")
@click.option("--trigger", default="hand", hidden=True)
@signing_key_option
@json_option
@click.pass_obj
def run(
    config_file: str | None,
    /,
    path: Path,
    parameters: tuple[str, ...],
    out: Path | None,
    publish: bool,
    trigger: str,
    key_file: Path | None,
    as_json: bool,
    **flags: Any,
) -> int:
    """Run BUILD: a TOML file of steps, or a Python file with a `Pipeline`.

    Steps whose inputs have not changed since the last run are skipped, even if that was killed. The
    run is recorded however it ends; exit code 1 if it did not succeed.
    """
    from gnomon.delivery.publishing import export, publish_all
    from gnomon.delivery.run_sender import send_runs
    from gnomon.pipeline.steps.file import read_pipeline
    from gnomon.pipeline.steps.running import find_packages, open_log, run_pipeline

    settings = load_settings("pipeline", config_file, flags)
    signer = Signer.load(key_file) if key_file else None
    if publish and signer is None:
        raise ConfigurationError("--publish needs --key: a hub takes only what is signed")
    wanted = read_pipeline(path)
    with StepProgress() as progress:
        record = run_pipeline(
            wanted,
            settings.state_folder,
            trigger=trigger,
            parameters=dict(_parameter(one, wanted.parameters) for one in parameters),
            signer=signer,
            observe=progress.show,
        )
    # Before publishing, which may fail: the run is over, and publishing is not part of it.
    unsent = send_runs(open_log(settings.state_folder), settings)
    folder = out or settings.state_folder / "packages"
    packages = [export(one, folder) for one in find_packages(record, settings.state_folder)]
    if publish and signer is not None and record.state == "succeeded":
        publish_all(packages, record, signer, load_settings("builder", config_file, flags))
    payload = {
        **record.to_dict(),
        "paths": [str(package) for package in packages],
        "unsent": unsent,
    }
    emit(payload, as_json=as_json, render=lambda: _render(record, packages, unsent))
    return 0 if record.state == "succeeded" else 1


@pipeline.command(cls=settings_command("pipeline"))
@click.argument("run", metavar="[RUN]", required=False)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@wide_option
@json_option
@click.pass_obj
def runs(
    config_file: str | None, /, run: str | None, limit: int, as_json: bool, **flags: Any
) -> None:
    """List the runs recorded here, newest first; with RUN, an id, all that is known of that one."""
    from gnomon.pipeline.steps.running import open_log

    log = open_log(load_settings("pipeline", config_file, flags).state_folder)
    found = [one for one in reversed(log.runs()) if run in (None, one.id)][:limit]
    if run is not None and not found:
        raise ConfigurationError(f"there is no run {run!r} here")
    if log.damaged_lines:
        click.echo(f"{log.damaged_lines} lines of the log cannot be read", err=True)
    if run is not None:
        payload: Any = found[0].to_dict()
        emit(payload, as_json=as_json, render=lambda: _render(found[0], [], ""))
        return
    emit([one.to_dict() for one in found], as_json=as_json, render=lambda: _render_runs(found))


@pipeline.command(cls=settings_command("pipeline", is_long_running=True))
@click.argument("paths", metavar="BUILD.toml...", nargs=-1, required=True, type=FILE)
@click.option("--once", is_flag=True, help="Run what is due now, then end.")
@click.option("--publish", is_flag=True, help="Publish what is built, as `pipeline run` does.")
@signing_key_option
@click.pass_obj
def watch(
    config_file: str | None,
    /,
    paths: tuple[Path, ...],
    once: bool,
    publish: bool,
    key_file: Path | None,
    **flags: Any,
) -> None:
    """Run each BUILD.toml when its [when] says so: on a schedule, or by what the hub knows.

    Each run is a process of its own; one that fails, or is killed, ends nothing but itself.
    """
    from gnomon.delivery.pipeline_watch import PipelineWatch

    options = ["--publish"] if publish else []
    if key_file is not None:
        options += ["--key", str(key_file)]
    settings = load_settings("pipeline", config_file, flags)
    watching = PipelineWatch(
        paths, settings, options, lambda text: click.echo(text, err=True), config_file
    )
    watching.check()
    while not once:
        time.sleep(watching.pause_seconds())
        watching.check()


def _parameter(text: str, known: Mapping[str, Any]) -> tuple[str, Any]:
    """Return name and value: a text if the parameter is a text, else the JSON value."""
    name, separator, value = text.partition("=")
    if not separator:
        raise ConfigurationError(f"{text!r} should be NAME=VALUE")
    if isinstance(known.get(name), str):
        return name, value
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _render(record: "PipelineRun", packages: list[Path], unsent: str) -> None:
    rows = [
        [step.name, step.kind, step.state, f"{step.seconds:.1f}", step.digest]
        for step in record.steps
    ]
    columns = ["step", "makes", "", "seconds", "digest"]
    show(table(f"{record.pipeline}, run {record.id}", columns, rows))
    for name, value in record.metrics.items():
        show(f"  {name} {value:.4g}")
    for package in packages:
        show("package ", styled(package, "bold"))
    colour = "green" if record.state == "succeeded" else "red"
    show(styled(record.state, colour), f" {record.error}")
    if unsent:
        show(styled("the hub will be notified later: ", "yellow"), unsent)


def _render_runs(records: "list[PipelineRun]") -> None:
    render_list("Runs", [_summary(one) for one in records], _COLUMNS)


def _summary(run: "PipelineRun") -> dict[str, Any]:
    """Return what a list says of a run: its steps, data and log are shown with `RUN`."""
    seconds = "" if run.ended_at is None else f"{(run.ended_at - run.started_at) / 1e3:.1f}"
    return {
        "id": run.id,
        "pipeline": run.pipeline,
        "trigger": run.trigger,
        "state": run.state,
        "started_at": run.started_at,
        "seconds": seconds,
        "code_version": run.code_version,
        "made": [f"{made['name']}@{made['version']}" for made in run.packages],
        "error": run.error,
    }

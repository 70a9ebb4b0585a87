"""`gnomon agent status|logs|doctor`: how an agent is, from its data folder, running or not."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gnomon.command.agent.log_file import follow_log, read_log
from gnomon.command.shared.output import emit, json_option, printable, show, styled, table
from gnomon.runtime.errors import StorageError

#: A status that is older than this is not of now, though the process is there.
_STALE_SECONDS = 60.0

folder_option = click.option(
    "--data-folder",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="The agent's data folder. Default: the setting node.data_folder.",
)


@click.command()
@folder_option
@json_option
@click.pass_obj
def status(config_file: str | None, /, folder: Path | None, as_json: bool) -> int:
    """Show what an agent is doing, or did last: models, installation, hub, telemetry, warnings.

    Exit code 1: the agent does not run.
    """
    payload = _read(_folder(folder, config_file))
    emit(payload, as_json=as_json, render=lambda: _show_status(payload))
    return 0 if payload["is_running"] else 1


@click.command()
@folder_option
@json_option
@click.pass_obj
def doctor(config_file: str | None, /, folder: Path | None, as_json: bool) -> int:
    """Name what is wrong with an agent and its data folder, and what to do; change nothing.

    Exit code 1: something is wrong.
    """
    from gnomon.edge.inspection import FolderFinding, find_damage, find_reported

    data = _folder(folder, config_file)
    known = _read(data)
    found = find_damage(data)
    if known["status"] is not None:
        found += find_reported(data, known["status"])
    if known["is_running"] and not known["is_current"]:
        problem = "the process runs, but has not said how it is for a minute"
        found.append(
            FolderFinding(str(data), problem, "look at `gnomon agent logs`; restart the agent")
        )
    problems = [one._asdict() for one in found]
    payload = {"data_folder": str(data), "is_running": known["is_running"], "problems": problems}
    emit(payload, as_json=as_json, render=lambda: _show_findings(problems))
    return 1 if problems else 0


@click.command()
@folder_option
@click.option("-n", "--lines", default=100, show_default=True, help="How many lines to show.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is logged from now on.")
@click.pass_obj
def logs(config_file: str | None, /, folder: Path | None, lines: int, follow: bool) -> None:
    """Show the last lines that an agent logged; they are in its data folder."""
    data = _folder(folder, config_file)
    found = read_log(data, lines)
    if not found and not follow:
        raise StorageError(f"{data} has no log: no `gnomon agent` has run with this data folder")
    for line in found:
        click.echo(printable(line))
    if follow:
        for line in follow_log(data):
            click.echo(printable(line))


def _folder(given: Path | None, config_file: str | None) -> Path:
    """Return the data folder of the flag, the environment, the settings file, or the default."""
    from gnomon.configuration import read_settings_file
    from gnomon.edge.settings import NodeSettings

    if given is not None:
        return given
    if variable := os.environ.get("GNOMON_NODE_DATA_FOLDER"):
        return Path(variable)
    tables, _ = read_settings_file(config_file)
    return Path(tables.get("node", {}).get("data_folder", NodeSettings.data_folder))


def _read(folder: Path) -> dict[str, Any]:
    """Return whether the agent runs, and the status that it wrote last."""
    from gnomon.edge.inspection import holder_of
    from gnomon.edge.status_file import read_status_file

    status = read_status_file(folder)
    holder = holder_of(folder)
    age = abs(time.time() - status["written_at"]) if status else float("inf")
    is_current = age <= _STALE_SECONDS and "stopped_at" not in (status or {})
    is_there = bool(status) and Path(f"/proc/{status['pid']}").exists() if status else False
    return {
        "data_folder": str(folder),
        "is_running": holder is not None or (is_current and is_there),
        "is_current": is_current,
        "status": status,
    }


def _show_status(payload: dict[str, Any]) -> None:
    known = payload["status"]
    state = styled("runs", "green") if payload["is_running"] else styled("does not run", "bold red")
    if known is None:
        show("the agent of ", payload["data_folder"], " ", state, "; it has left no status")
        return
    show("agent ", styled(known["name"], "bold"), " ", state, f" (process {known['pid']})")
    if not payload["is_current"]:
        show("its last status, of ", _time(known["written_at"]), ":")
    show(table("", ("", ""), [(name, value) for name, value in _rows(known) if value]))


def _rows(known: dict[str, Any]) -> list[tuple[str, Any]]:
    spool = known["spool"] or {}
    waiting = f"{spool['records']} records, {spool['bytes']} bytes" if spool.get("records") else ""
    error, trust = known["last_error"], known.get("trust") or {}
    findings = trust.get("audit_findings") or ()
    return [
        ("models", ", ".join(one for found in known["models"].values() for one in found) or "none"),
        ("answers at", known["socket"]),
        ("installation", f"{known['step']}, generation {known['generation']}"),
        *((f"refused {name}", reason) for name, reason in known["refused"].items()),
        ("reason", known["reason"] if not known["refused"] else ""),
        ("hub", _hub(known)),
        ("last error", f"{_time(known['last_error_at'])}: {error}" if error else ""),
        ("telemetry waiting", waiting),
        ("disk", spool.get("disk_error")),
        ("clock", _clock(known["clock_offset_seconds"])),
        ("certificate until", _time(known["certificate_expires_at"])),
        ("stalled", ", ".join(known["stalled"])),
        ("signed metadata", trust.get("problem")),
        ("signed by no trusted key", ", ".join(trust.get("revoked") or ())),
        *(("hub's audit chain", one) for one in findings),
        *(("warning", one) for one in known["warnings"] if one != "; ".join(findings)),
    ]


def _hub(known: dict[str, Any]) -> str:
    if known["spool"] is None:
        return "none"
    if not known["is_enrolled"]:
        return "not enrolled yet"
    return "in touch" if known["is_hub_reachable"] else "not reached"


def _clock(offset: float | None) -> str:
    return "" if offset is None or abs(offset) < 1 else f"{offset:+.0f} s to the hub's"


def _time(seconds: float | None) -> str:
    if not seconds:
        return ""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def _show_findings(problems: list[dict[str, Any]]) -> None:
    if not problems:
        show("nothing is wrong")
    for one in problems:
        show(styled(one["where"], "bold"), ": ", one["problem"])
        show("  what to do: ", one["remedy"])

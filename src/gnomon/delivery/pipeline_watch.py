"""Watches when pipelines are due, and runs each in a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gnomon.client.hub import HubClient
from gnomon.delivery.run_sender import PipelineSettings
from gnomon.pipeline.steps.file import read_when
from gnomon.pipeline.steps.triggers import Facts, RunConditions, TriggerProgress, Triggers
from gnomon.runtime.decoding import UNDECODABLE
from gnomon.runtime.errors import ConfigurationError, GnomonError
from gnomon.runtime.files import write_durably

__all__ = ["PipelineWatch", "fetch_facts"]

_STATE = "triggers.json"
_LONGEST_PAUSE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _WatchedPipeline:
    path: Path
    when: RunConditions
    triggers: Triggers


class PipelineWatch:
    """Runs pipelines when they are due."""

    def __init__(
        self,
        files: Sequence[Path],
        settings: PipelineSettings,
        options: Sequence[str],
        say: Callable[[str], None],
        config_file: str | None = None,
    ) -> None:
        """Read when each is due; `options` are further flags of `gnomon pipeline run`.

        The runs read their settings from `config_file`, or from the default places.

        Raises:
            ConfigurationError: a file is invalid, has no trigger, or needs a hub that is not named.
        """
        self._settings = settings
        self._options = tuple(options)
        self._config = ("--config", config_file) if config_file else ()
        self._say = say
        self._state = settings.state_folder / _STATE
        settings.state_folder.mkdir(parents=True, exist_ok=True)
        seen = self._read_state()
        self._watched = [self._watch(path.resolve(), seen) for path in files]

    def check(self) -> int:
        """Run what is due now, and return the number of runs."""
        due = 0
        for one in self._watched:
            reason = one.triggers.due(time.time(), self._facts(one.when))
            # Saved before it runs: a run that ends this process must not be repeated for ever.
            self._write_state()
            if reason:
                due += 1
                self._run(one.path, reason)
        return due

    def pause_seconds(self) -> float:
        """Return the seconds until something may be due, at most a minute."""
        times = [one.triggers.next_time() for one in self._watched]
        pauses = [moment - time.time() for moment in times if moment is not None]
        if any(one.when.asks_hub for one in self._watched):
            pauses.append(self._settings.poll_seconds)
        return max(0.0, min([*pauses, _LONGEST_PAUSE_SECONDS]))

    def _watch(self, path: Path, seen: dict[str, TriggerProgress]) -> _WatchedPipeline:
        when = read_when(path)
        if not when.cron and not when.asks_hub:
            raise ConfigurationError(f"{path} has no [when]: give it cron, labels or alerts")
        if when.asks_hub and not self._settings.url:
            raise ConfigurationError(f"{path} has triggers that need a hub; give --url")
        return _WatchedPipeline(
            path, when, Triggers(when, seen.get(str(path), TriggerProgress(at=time.time())))
        )

    def _run(self, path: Path, reason: str) -> None:
        self._say(f"{path}: {reason}")
        settings = self._settings
        command = [sys.executable, "-m", "gnomon", *self._config, "pipeline", "run", str(path)]
        command += ["--trigger", reason, "--state-folder", str(settings.state_folder)]
        if settings.url:
            command += ["--url", settings.url]
        # Other users can read a command line, but not an environment.
        secret = {"GNOMON_PIPELINE_API_KEY": settings.api_key} if settings.api_key else {}
        done = subprocess.run([*command, *self._options], env=os.environ | secret, check=False)
        self._say(f"{path}: ended with {done.returncode}")

    def _facts(self, when: RunConditions) -> Facts | None:
        if not when.asks_hub:
            return None
        try:
            with HubClient(self._settings.url, api_key=self._settings.api_key or None) as client:
                return fetch_facts(client, when)
        except GnomonError as error:
            self._say(f"the hub could not be queried for triggers: {error}")
            return None

    def _read_state(self) -> dict[str, TriggerProgress]:
        try:
            return msgspec.json.decode(self._state.read_bytes(), type=dict[str, TriggerProgress])
        except FileNotFoundError:
            return {}
        except (OSError, *UNDECODABLE) as error:
            raise ConfigurationError(
                f"{self._state} cannot be read: {error}; remove it to start again"
            ) from error

    def _write_state(self) -> None:
        kept = self._read_state() | {str(one.path): one.triggers.seen for one in self._watched}
        write_durably(self._state, msgspec.json.encode(kept))


def fetch_facts(client: HubClient, when: RunConditions) -> Facts:
    """Return the facts that a pipeline's triggers depend on, from the hub.

    Raises:
        GnomonError: the hub cannot be reached, or refuses the request.
    """
    labels, alerts = 0, []
    if when.labels is not None:
        losses = client.get(f"models/{when.labels.model}/losses")
        labels = sum(int(one["count"]) for one in losses)
    if when.alerts is not None:
        listed = client.get("alerts", model=when.alerts.model)
        alerts = sorted((str(one["id"]), str(one["kind"])) for one in listed)
    return Facts(labels=labels, alerts=tuple(alerts))

"""Sends the records of runs to a hub; their ids make repeated sends idempotent."""

import logging
from dataclasses import dataclass
from pathlib import Path

from gnomon.client.hub import HubClient
from gnomon.pipeline.steps.log import RunLog
from gnomon.runtime.errors import Conflict, GnomonError, InvalidInput, NotAllowed

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PipelineSettings:
    """Where pipelines keep their artifacts, and the hub that their runs are reported to.

    Raises:
        ValueError: a figure is out of range; the message names it.
    """

    #: Artifacts and the log of runs lie here; one run at a time.
    state_folder: Path = Path("pipeline-data")
    #: The hub's REST address, such as http://127.0.0.1:8600; empty: runs are recorded here only.
    url: str = ""
    #: Not needed for a hub of the same user on this machine.
    api_key: str = ""
    #: How often the hub is asked whether something has happened.
    poll_seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.poll_seconds <= 0:
            raise ValueError(f"poll_seconds should be above 0, got {self.poll_seconds}")


def send_runs(log: RunLog, settings: PipelineSettings) -> str:
    """Send what the hub does not have yet; return why that was not possible, or "".

    A hub that is away costs no run: the next call sends what is left. What the key may not report
    is left too; what the hub takes for no record of a run is never sent again.
    """
    if not settings.url:
        return ""
    left = ""
    try:
        with HubClient(settings.url, api_key=settings.api_key or None) as client:
            for record in log.unsent(settings.url):
                try:
                    client.post("runs", record.to_dict())
                except NotAllowed as error:
                    left = str(error)
                    continue
                except (Conflict, InvalidInput) as error:
                    _log.warning("run %s is not taken: %s", record.id, error)
                log.mark_sent(record.id, settings.url)
    except GnomonError as error:
        return str(error)
    return left

"""A node with a hub: it predicts with its packages and follows the hub's desired state.

The runtime predicts whether or not the hub can be reached. One thread calls the hub and executes
the steps of `gnomon.edge.sync`; another uploads telemetry. After a restart the node continues with
the packages that were in service, without the hub.
"""

import contextlib
import logging
import time
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version
from typing import Self

from gnomon.edge.examination import PackageExaminer
from gnomon.edge.hub_reporter import HubReporter
from gnomon.edge.installer import Installer
from gnomon.edge.kept_profiles import KeptProfiles
from gnomon.edge.label_record import label_record
from gnomon.edge.machine_facts import describe_machine
from gnomon.edge.node_status import read_status
from gnomon.edge.node_threads import NodeThreads
from gnomon.edge.settings import NodeSettings
from gnomon.edge.status import NodeStatus
from gnomon.edge.step_thread import STEP_THREAD
from gnomon.edge.sync_executor import SyncExecutor
from gnomon.edge.sync_state import Step, SyncState
from gnomon.edge.telemetry.spool import Spool
from gnomon.edge.telemetry.transcript_folder import TranscriptFolder, open_transcripts
from gnomon.edge.telemetry.uploader import SpoolSink, Uploader
from gnomon.edge.trust import NodeTrust
from gnomon.proto import hub_pb2
from gnomon.runtime.engines import available_engines
from gnomon.runtime.enrolment.enrolment import Enrolment, read_hub_time
from gnomon.runtime.enrolment.hub_channel import HubChannel
from gnomon.runtime.errors import GnomonError, HubUnavailable, StorageError
from gnomon.runtime.lock import FolderLock
from gnomon.runtime.packages.slots import Slots
from gnomon.runtime.runtime import Runtime
from gnomon.runtime.state_file import StateFile

_log = logging.getLogger(__name__)

#: How long a thread may take to end after its call was cancelled.
_JOIN_SECONDS = 10.0


class Node:
    """A node with a hub. `start` returns at once; `ready` waits for a route to be in service."""

    def __init__(self, settings: NodeSettings) -> None:
        """Open the data folder.

        Raises:
            StorageError: it cannot be used, or another process uses it.
        """
        self._settings = settings
        self._has_reported_drops = False
        self._threads = NodeThreads(settings.upload_seconds, settings.longest_pause_seconds)
        self._lock = FolderLock(settings.data_folder, is_private=True)
        try:
            self._open(settings)
        except BaseException:
            self._lock.release()
            raise

    def _open(self, settings: NodeSettings) -> None:
        folder = settings.data_folder
        engines = settings.engines or available_engines()
        facts = describe_machine(engines)
        self._enrolment = Enrolment(settings, facts)
        self._trust = NodeTrust(
            folder, settings.name, lambda: self._enrolment.trusted_keys, settings.root_file
        )
        slots = Slots(folder / "slots")
        self._spool = Spool(
            folder / "spool",
            budget_bytes=settings.spool_bytes,
            merge=self._merge_windows,
            kept_seconds=settings.kept_seconds,
        )
        self.runtime = Runtime(
            SpoolSink(self._spool),
            checkpoint_seconds=settings.checkpoint_seconds,
            idle_unload_seconds=settings.idle_unload_seconds,
            memory_budget_bytes=settings.memory_budget_bytes,
            transcripts=self._open_transcripts(settings),
        )
        profiles = KeptProfiles(folder / "profiles")
        examiner = PackageExaminer(
            folder / "slots" / "packages",
            settings.examination_seconds,
            settings.examination_memory_bytes,
        )
        self._installer = Installer(slots, self.runtime, engines, profiles, examiner)
        self._sync = SyncExecutor(
            StateFile(folder / "sync.json", SyncState.decode),
            self._installer,
            self._trust,
            self._record_event,
            self._threads.is_stopping,
            # What was loaded apart in that time may take twice as long beside other models.
            step_seconds=2 * settings.examination_seconds,
        )
        self._reporter = HubReporter(
            facts,
            self._spool,
            self.runtime,
            self._sync,
            self._trust,
            self._enrolment,
            self._record_event,
        )
        self._uploader = Uploader(self._spool, on_lost=self._reporter.note_lost)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Load the packages that were in service before, then start to call the hub."""
        self._sync.restore()
        self._record_event("started", version("gnomon"))
        self._threads.start("node-sync", self._sync_once)
        self._threads.start("node-upload", self._upload_once)

    def ready(self, timeout_seconds: float | None = None) -> bool:
        """Wait until some route is in service; return whether one is."""
        return self._sync.ready.wait(timeout_seconds)

    def label(
        self, model: str, request_id: str, value: float, at: datetime | float | None = None
    ) -> None:
        """Report the true value of a prediction, however late.

        Args:
            model: the public model name.
            request_id: of the prediction.
            value: the true value.
            at: when it became known, in the data's own time: epoch seconds or datetime; None: now.

        Raises:
            InvalidInput: a part is out of bounds.
            StorageError: it cannot be written to the spool.
        """
        self._spool.put(label_record(model, request_id, value, at))

    def status(self) -> NodeStatus:
        """Return what the node is doing now."""
        return read_status(
            self._settings.name,
            sync=self._sync,
            runtime=self.runtime,
            enrolment=self._enrolment,
            reporter=self._reporter,
            spool=self._spool,
            trust=self._trust,
            errors=self._threads.errors,
        )

    def stalled(self) -> tuple[str, ...]:
        """Return the threads that ended, or took longer for a step than it may take."""
        overdue = (STEP_THREAD,) if self._sync.overdue else ()
        return (*overdue, *self._threads.stalled())

    def refusal(self) -> GnomonError | None:
        """Return why the node cannot enrol with its settings; None if it has or still may."""
        return self._enrolment.refusal

    def reload(self) -> bool:
        """Do nothing: the hub decides what is served, and is called regularly."""
        return True

    def stop(self) -> None:
        """Stop the threads, flush the telemetry, and try to upload it within `stop_seconds`."""
        if self._threads.is_stopping():
            return
        self._threads.ask_to_stop()
        if not self._threads.join(self._settings.stop_seconds):
            self._enrolment.close()  # cancels the call that a thread waits for
            self._threads.join(_JOIN_SECONDS)
        self._sync.join(_JOIN_SECONDS)
        self._try_to("end an examination", self._installer.stop)
        self._try_to("flush the telemetry", self.runtime.close)
        self._record_event("stopped", "")
        self._try_to("upload the telemetry", self._upload_rest)
        self._try_to("close the connection", self._enrolment.close)
        self._try_to("close the spool", self._spool.close)
        self._try_to("release the data folder", self._lock.release)

    def _upload_rest(self) -> None:
        if self._enrolment.channel is not None:
            deadline = time.monotonic() + self._settings.stop_seconds
            self._uploader.upload_all(self._enrolment.channel, deadline)

    def _try_to(self, purpose: str, action: Callable[[], None]) -> None:
        """Execute a part of `stop`: nothing that fails there is the program's concern."""
        try:
            action()
        except HubUnavailable as error:
            _log.info("telemetry stays in the spool until the next start: %s", error)
        except GnomonError as error:
            _log.error("cannot %s: %s", purpose, error)
        except Exception:
            _log.exception("cannot %s", purpose)

    def _merge_windows(self, digest: str, one: bytes, other: bytes) -> bytes | None:
        return self._installer.merge_windows(digest, one, other)

    def _open_transcripts(self, settings: NodeSettings) -> TranscriptFolder | None:
        """Return the transcripts' folder; None if it cannot be written: predictions do without."""
        try:
            return open_transcripts(settings)
        except StorageError as error:
            self._threads.record_error(error, "start")
            return None

    def _connect(self) -> HubChannel:
        channel = self._enrolment.connect()
        channel.on_progress = self._threads.beat
        return channel

    def _sync_once(self) -> float:
        """Call the hub and install what it wants; return the seconds until the next call."""
        channel = self._connect()
        failure = self._sync.complete_interrupted(channel)
        response = self._reporter.exchange(channel)
        if failure is not None:
            raise failure
        if self._sync.machine.step is Step.REPORT:
            self._sync.machine.advance()
        self._enrolment.renew_if_due(read_hub_time(response))
        desired = self._trust.take(response)
        self._reporter.note_epoch(desired.epoch)
        if response.metadata:
            self._sync.note_revoked()
        if self._sync.is_busy:
            return 0.0
        if self._trust.is_new_signer:
            self._sync.machine.forget_order()
            self._trust.accept_signer()
        if self._sync.machine.propose(desired):
            self._sync.install(channel)
            return 0.0
        return self._pause(response)

    def _pause(self, response: hub_pb2.ExchangeResponse) -> float:
        """Return the seconds until the next call: the hub's wish within the node's own setting."""
        settings = self._settings
        longest = max(settings.longest_pause_seconds, settings.sync_seconds)
        return min(response.call_again_ms / 1000 or settings.sync_seconds, longest)

    def _upload_once(self) -> float:
        """Flush the spool and upload it; return the seconds until the next upload."""
        with contextlib.suppress(StorageError):  # what is in memory only can be uploaded, too
            self._spool.flush()
        dropped = self._spool.figures().dropped
        if dropped and not self._has_reported_drops:
            self._has_reported_drops = True
            self._record_event(
                "spool_full", f"{dropped} samples were dropped so far; their rows are counted"
            )
        channel = self._enrolment.channel
        if channel is not None and self._reporter.may_upload:
            self._uploader.upload_all(channel)
            if not self._spool.figures().records:
                self._installer.forget_profiles()
        return self._settings.upload_seconds

    def _record_event(self, kind: str, detail: str) -> None:
        try:
            self._spool.put(hub_pb2.Record(event=hub_pb2.Event(kind=kind, detail=detail[:2000])))
        except StorageError as error:
            _log.warning("cannot write the event %s to the spool: %s", kind, error)

"""A hub that is saved and restored, and a node that goes from the one to the other."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gnomon.server.hub import backup
from gnomon.server.hub.process import Hub
from gnomon.server.hub.settings import HubSettings
from tests.support.hub import Caller, new_key
from tests.support.trusting_node import TrustingNode


class RestorableHub:
    """A running hub, with a device that has enrolled at it."""

    def __init__(
        self, settings: HubSettings, caller: Caller, caller_of: Callable[..., Any], folder: Path
    ) -> None:
        self._settings, self._caller_of, self._folder = settings, caller_of, folder
        token, key = caller.token("node", "device-1"), new_key()
        answer = caller.stranger(token).enrol(token["token"], key, "device-1")
        self._identity = answer.authority, key, answer.certificate
        self.device = TrustingNode(caller.known(*self._identity), folder / "device")

    def save(self) -> None:
        backup.backup(self._settings.data_folder, self._folder / "saved")

    @contextmanager
    def restored(self) -> Iterator[Caller]:
        """Start the hub that was saved, which the device calls from now on; yield its caller."""
        folder = self._folder / "restored"
        backup.restore(self._folder / "saved", folder)
        hub = Hub(dataclasses.replace(self._settings, data_folder=folder))
        hub.start()
        try:
            caller: Caller = self._caller_of(hub.addresses)
            self.device.party = caller.known(*self._identity)
            yield caller
        finally:
            hub.stop()

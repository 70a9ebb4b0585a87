"""A hub run by its own command."""

import json
import subprocess
import sys
from pathlib import Path


class HubCommand:
    """A hub run by its own command, on free ports of loopback."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "gnomon", "hub", "run", "--json"]
        command += ["--data-folder", str(folder / "hub")]
        for port in ("--rest-port", "--enrolment-port", "--sync-port"):
            command += [port, "0"]
        self._log = (folder / "hub.log").open("w")
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        assert self._process.stdout
        self.addresses = json.loads(self._process.stdout.readline())
        self.rest = self.addresses["rest"]

    def settings(self, folder: Path, token: str) -> Path:
        """Write a gnomon.toml by which a builder enrols."""
        path = folder / "gnomon.toml"
        path.write_text(
            f'[builder]\ndata_folder = "{folder}/builder"\nhub = "{self.addresses["sync"]}"\n'
            f'enrolment = "{self.addresses["enrolment"]}"\ntoken = "{token}"\n'
            f'authority_fingerprint = "{self.addresses["fingerprint"]}"\n'
        )
        return path

    def stop(self) -> None:
        self._process.terminate()
        assert self._process.wait(30) == 0
        self._log.close()

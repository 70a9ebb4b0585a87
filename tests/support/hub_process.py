"""Small real packages, and a real hub in a process of its own that can be killed."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx

from gnomon.proto import hub_pb2, hub_pb2_grpc
from gnomon.runtime.enrolment.hub_channel import enrol
from gnomon.runtime.enrolment.identity import IdentityFolder, key_pem
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer
from tests.support.hub import local_key_of

HUB = """
import json, sys
from pathlib import Path
import structlog
from gnomon.server.hub.process import run_hub
from gnomon.server.hub.settings import HubSettings

rest, enrolment, sync = map(int, sys.argv[2:5])
settings = HubSettings(data_folder=Path(sys.argv[1]), rest_port=rest, enrolment_port=enrolment,
                       sync_port=sync, node_call_ms=100, tick_seconds=3600,
                       certificate_days=float(sys.argv[5]))
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
run_hub(settings, lambda a: print(json.dumps([a.rest, a.enrolment, a.sync, a.fingerprint]),
                                  flush=True))
"""


class HubProcess:
    """A hub on real ports, which it keeps when it is killed and started again."""

    def __init__(self, folder: Path, signer: Signer, certificate_days: float = 30.0) -> None:
        self.folder = folder
        self.certificate_days = certificate_days
        self.ports = ("0", "0", "0")
        self.start()
        self.post("keys", key=signer.public_key.hex(), name="ada")
        self._publish = self._enrol_builder()

    def start(self) -> None:
        arguments = [str(self.folder / "hub"), *self.ports, str(self.certificate_days)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", HUB, *arguments],
            stdout=subprocess.PIPE,
            stderr=(self.folder / "hub.log").open("a"),
            text=True,
        )
        assert self.process.stdout
        self.rest, self.enrolment, self.sync, self.fingerprint = json.loads(
            self.process.stdout.readline()
        )
        addresses = (self.rest, self.enrolment, self.sync)
        self.ports = tuple(address.rpartition(":")[2] for address in addresses)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=20)

    def post(self, path: str, **body: Any) -> Any:
        return self._call("POST", path, json=body)

    def get(self, path: str) -> Any:
        return self._call("GET", path)

    def _call(self, method: str, path: str, **options: Any) -> Any:
        url, key = f"{self.rest}/api/v1/{path}", local_key_of(self.rest)
        answer = httpx.request(
            method, url, headers=key, trust_env=False, timeout=20, verify=False, **options
        )
        return answer.raise_for_status().json()

    def token(self, role: str = "node") -> str:
        return self.post("tokens", role=role)["token"]

    def rows(self, node: str) -> dict[str, int]:
        """Count the rows of a node by outcome."""
        found: dict[str, int] = {}
        for line in self.get("counts"):
            if line["node"] == node:
                found[line["outcome"]] = found.get(line["outcome"], 0) + line["rows"]
        return found

    def publish_only(self, package: Package) -> None:
        """Put a package into the registry."""
        self._publish(package)

    def publish(self, package: Package) -> None:
        """Put a package into the registry and its version into service."""
        self._publish(package)
        manifest = package.manifest
        self.post("placements", model=manifest.name, version=manifest.version)

    def _enrol_builder(self) -> Callable[[Package], None]:
        keys = IdentityFolder(self.folder / "builder")
        request = hub_pb2.EnrollRequest(
            token=self.token("builder"), certificate_request=keys.request("ada")
        )
        answer = enrol(
            self.enrolment, (self.folder / "hub" / "authority.pem").read_bytes(), request
        )
        credentials = grpc.ssl_channel_credentials(
            answer.authority, key_pem(keys.key()), answer.certificate
        )

        def publish(package: Package) -> None:
            with grpc.secure_channel(self.sync, credentials) as channel:
                registry = hub_pb2_grpc.RegistryStub(channel)
                blobs = [hub_pb2.Blob(digest=d, data=data) for d, data in package.iter_blobs()]
                registry.PutBlobs(iter(blobs), timeout=20)
                registry.Publish(
                    hub_pb2.PublishRequest(digest=package.digest, envelopes=package.envelopes),
                    timeout=20,
                )

        return publish

"""A node, its agent and its model at a hub that many tests share."""

from pathlib import Path
from typing import Any

from gnomon.edge.agent import Agent
from gnomon.runtime.packages.signing import Signer
from tests.support.packages import linear_onnx, make_package
from tests.support.waiting import wait_for

GOOD = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}
BAD = {"distance": -1.0, "wind": 10.0, "carrier": "UA"}


class Story:
    """One test's node and model at the hub that all tests share."""

    def __init__(self, hub: Any, name: str, folder: Path, signer: Signer) -> None:
        self.hub, self.name, self.folder = hub, name, folder
        self._signer = signer

    def agent(self, **settings: Any) -> Agent:
        return Agent(
            name=self.name,
            data=self.folder / "node",
            **{
                "hub": self.hub.sync,
                "enrolment": self.hub.enrolment,
                "authority_fingerprint": self.hub.fingerprint,
                "upload_seconds": 0.1,
                "checkpoint_seconds": 0.2,
                "longest_pause_seconds": 1.0,
                "examination_seconds": 0.0,
                **settings,
            },
        )

    def publish(self, version: str = "1", bias: float = 0.0) -> None:
        model = linear_onnx([0.125, 0.1, 0.0, 10.0, 0.0], bias)
        folder = self.folder / f"package-{version}"
        package = make_package(
            folder,
            self._signer,
            name=self.name,
            version=version,
            model=model,
            test_passed=True,
        )
        self.hub.publish(package)

    def wait_for(self, agent: Agent, version: str) -> None:
        expected = (f"{self.name}@{version}",)
        wait_for(lambda: agent.status().models.get(self.name) == expected)

    def reported(self) -> dict[str, Any]:
        return next(node for node in self.hub.get("nodes") if node["name"] == self.name)

"""The sections of `gnomon.toml`, and the dataclass that each fills."""

import importlib
from typing import Any

#: Section of gnomon.toml → the settings dataclass that it fills.
SECTIONS = {
    "hub": "gnomon.server.hub.settings:HubSettings",
    "node": "gnomon.edge.settings:NodeSettings",
    "agent": "gnomon.edge.daemon_settings:DaemonSettings",
    "serve": "gnomon.server.serving.settings:ServeSettings",
    "stream": "gnomon.server.streams.settings:StreamSettings",
    "builder": "gnomon.client.registry:BuilderSettings",
    "command": "gnomon.command.shared.times:CommandSettings",
    "log": "gnomon.logs.settings:LogSettings",
    "pipeline": "gnomon.delivery.run_sender:PipelineSettings",
}


def settings_type(section: str) -> Any:
    """Import and return the settings dataclass of a section."""
    module, _, attribute = SECTIONS[section].partition(":")
    return getattr(importlib.import_module(module), attribute)

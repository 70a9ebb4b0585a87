"""The settings of an agent that is a process of its own."""

from dataclasses import dataclass
from pathlib import Path

#: Which frontend answers on the socket: "none" opens none.
DAEMON_FRONTENDS = ("auto", "native", "grpcio", "none")


@dataclass(frozen=True, kw_only=True)
class DaemonSettings:
    """Where an agent's process answers programs of the same user.

    Raises:
        ValueError: a setting is not one of its choices.
    """

    #: The Unix socket on which other programs are answered; None: `agent.socket` in the data
    #: folder.
    socket_path: Path | None = None
    #: The frontend of that socket: native, grpcio, auto (native if it can serve here, and no
    #: socket without the extra `server`), or none.
    frontend: str = "auto"

    def __post_init__(self) -> None:
        if self.frontend not in DAEMON_FRONTENDS:
            raise ValueError(
                f"frontend should be one of {', '.join(DAEMON_FRONTENDS)}, got {self.frontend!r}"
            )
        if self.frontend == "none" and self.socket_path is not None:
            raise ValueError("socket_path needs a frontend; 'none' opens no socket")

    def path_in(self, data_folder: Path) -> Path:
        """Return the path of the socket of an agent with this data folder."""
        return self.socket_path or data_folder / "agent.socket"

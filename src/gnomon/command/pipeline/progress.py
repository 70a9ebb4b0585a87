"""Shows how far a build has come: the step under way, and what became of those before it."""

import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.text import Text

from gnomon.command.shared.output import styled

if TYPE_CHECKING:
    from gnomon.pipeline.steps.build import StepChange

_SHOWN = {
    "done": styled("done", "green"),
    "cached": styled("as before", "cyan"),
    "failed": styled("failed", "red"),
}


class StepProgress:
    """One line a step, on standard error; on a terminal with a spinner while it runs."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._status = self._console.status("")
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def show(self, change: "StepChange") -> None:
        """Show one change."""
        if change.state == "running":
            self._status.update(styled(f"{change.name} …", ""))
            if self._console.is_terminal:
                self._status.start()
            return
        self._status.stop()
        name = styled(change.name, "bold")
        self._console.print(
            Text.assemble(_SHOWN[change.state], " ", name, f" {change.seconds:.1f} s")
        )

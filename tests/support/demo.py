"""What the demo left, for tests that read it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Played:
    """The folder in which the demo ran, its exit code and what it reported."""

    folder: Path
    code: int
    report: dict[str, Any]

"""Prints the demo's steps on the terminal, and keeps what was checked."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table


@dataclass(frozen=True, slots=True)
class DemoCheck:
    """One check of the demo, and whether it passed."""

    step: str
    what: str
    passed: bool


class DemoReport:
    """Prints steps, facts and checks; remembers the checks and how long each step took."""

    def __init__(self, console: Console) -> None:
        self.checks: list[DemoCheck] = []
        self.seconds: dict[str, float] = {}
        self._console = console
        self._act = ""
        self._status: Status | None = None

    @contextmanager
    def step(self, number: int, title: str) -> Iterator[None]:
        """Print one step, with a spinner for what is going on."""
        self._act = title
        self._console.print(f"\n[bold cyan]{number}[/] [bold]{title}[/]")
        start = time.monotonic()
        with self._console.status("") as status:
            self._status = status
            try:
                yield
            finally:
                self._status = None
                self.seconds[title] = time.monotonic() - start

    def show_progress(self, what: str) -> None:
        """Show what is being done."""
        if self._status is not None:
            self._status.update(f"[dim]{escape(what)}…[/]")

    def fact(self, what: str) -> None:
        """Print a fact."""
        self._console.print(f"  [dim]·[/] {escape(what)}", soft_wrap=True)

    def quote(self, who: str, what: str) -> None:
        """Print a quotation of an alert, an error or a gate."""
        self._console.print(
            f"    [italic]{escape(who)}:[/] [yellow]{escape(what)}[/]", soft_wrap=True
        )

    def links(self, places: Mapping[str, str]) -> None:
        """Print links to results."""
        self._console.print("\n[bold]Where to look next[/]")
        for what, where in places.items():
            self._console.print(f"  {escape(what):<32} [bold]{escape(where)}[/]")

    def check(self, passed: bool, what: str, wrong: Sequence[str] = ()) -> None:
        """Record a check; if it failed, print what was wrong."""
        self.checks.append(DemoCheck(self._act, what, passed))
        mark = "[green]✓[/]" if passed else "[bold red]✗[/]"
        self._console.print(f"  {mark} {escape(what)}")
        for one in wrong[:5]:
            self._console.print(f"      [red]{escape(one)}[/]")

    @property
    def passed(self) -> bool:
        """Whether there were checks and all of them passed."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def summarize(self) -> None:
        """Print all checks by step, with the time that each step took."""
        table = Table(title="What happened", title_justify="left", header_style="bold")
        table.add_column("step")
        table.add_column("s", justify="right")
        table.add_column("checked")
        for step, seconds in self.seconds.items():
            marks = [
                ("[green]✓[/] " if check.passed else "[bold red]✗[/] ") + escape(check.what)
                for check in self.checks
                if check.step == step
            ]
            table.add_row(step, f"{seconds:.0f}", "\n".join(marks))
        self._console.print()
        self._console.print(table)

"""Where the demo's progress goes: a live table for a person who watches, plain lines otherwise."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from services.cli.demo.screen import Sight, line, news, table

LINE_SECONDS = 5.0


class Display(AbstractContextManager["Display"], Protocol):
    """Shows what happens; use it as a context."""

    def step(self, text: str) -> None:
        """Tell what is being done now."""
        ...

    def show(self, sight: Sight) -> None:
        """Show a look at the pipeline."""
        ...


class LiveDisplay:
    """A table that changes in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> LiveDisplay:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def step(self, text: str) -> None:
        """Print a line above the table."""
        self._console.print(Text(text, style="dim"))

    def show(self, sight: Sight) -> None:
        """Replace the table."""
        self._live.update(table(sight))


class PlainDisplay:
    """Lines: every few seconds the counts, at once every incident that is new."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: Sight | None = None
        self._next_line = 0.0

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def step(self, text: str) -> None:
        """Print a line."""
        self._print(text)

    def show(self, sight: Sight) -> None:
        """Print what is new, and the counts when it is time."""
        for text in news(self._last, sight):
            self._print(text)
        if sight.seconds >= self._next_line:
            self._print(line(sight))
            self._next_line = sight.seconds + LINE_SECONDS
        self._last = sight

    def _print(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)


def display(console: Console) -> Display:
    """Return the display that fits where `console` writes to."""
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)

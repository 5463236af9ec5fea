"""Results go to stdout, messages to stderr; JSON where a script asks for it.

Names and values in them come from outside: none may move a cursor or colour a terminal.
"""

from __future__ import annotations

import sys

import msgspec
import typer


def result(text: str) -> None:
    """Write one line of a result."""
    typer.echo(visible(text))


def result_json(content: object, *, indent: bool = False) -> None:
    """Write `content` as one JSON document, on one line unless `indent`."""
    encoded = msgspec.json.encode(content)
    typer.echo((msgspec.json.format(encoded) if indent else encoded).decode())


def message(text: str) -> None:
    """Tell the person; never part of a result."""
    typer.echo(visible(text), err=True)


def visible(text: str) -> str:
    """Return a text without control characters, but for the ends of its lines."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def a_person_watches() -> bool:
    """Return whether messages reach a terminal: only then are there progress bars."""
    return sys.stderr.isatty()

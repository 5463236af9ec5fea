"""Results go to stdout, messages to stderr; JSON where a script asks for it."""

from __future__ import annotations

import sys

import msgspec
import typer


def result(text: str) -> None:
    """Write one line of a result."""
    typer.echo(text)


def result_json(content: object, *, indent: bool = False) -> None:
    """Write `content` as one JSON document, on one line unless `indent`."""
    encoded = msgspec.json.encode(content)
    typer.echo((msgspec.json.format(encoded) if indent else encoded).decode())


def message(text: str) -> None:
    """Tell the person; never part of a result."""
    typer.echo(text, err=True)


def a_person_watches() -> bool:
    """Return whether messages reach a terminal: only then are there progress bars."""
    return sys.stderr.isatty()

"""The committed JSON Schemas are those of the types."""

from __future__ import annotations

import json

import pytest

from shared.events.schemas import DIALECT, FOLDER, event_schemas


def test_the_committed_files_are_what_the_types_generate() -> None:
    committed = {path.name: path.read_bytes() for path in FOLDER.iterdir()}

    assert committed == event_schemas(), "run `python -m shared.events`"


@pytest.mark.parametrize("name", sorted(event_schemas()))
def test_a_schema_names_its_dialect(name: str) -> None:
    assert json.loads(event_schemas()[name])["$schema"] == DIALECT


def test_unknown_fields_are_allowed_everywhere() -> None:
    assert [name for name, content in event_schemas().items() if b'additionalProperties": false' in content] == []

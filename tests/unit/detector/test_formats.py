"""Named formats of texts."""

from __future__ import annotations

from typing import get_args

import pytest

from services.detector.quality.formats import FORMATS
from shared.quality import Format


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        (
            "email",
            ["a@example.org", "first.last+tag@mail.example.org", "ü@exämple.org"],
            ["", "a", "a@", "@example.org", "a@example", "a b@example.org", "a@b@example.org", "a@example.org\n"],
        ),
        (
            "uuid",
            ["00000000-0000-0000-0000-000000000000", "123E4567-e89b-12d3-a456-426614174000"],
            ["", "123e4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-42661417400g", "{123}"],
        ),
        (
            "iso-date",
            ["2026-02-28", "2024-02-29"],
            ["", "2026-02-29", "2026-2-3", "20260203", "2026-02-03T00:00:00Z", "03.02.2026"],
        ),
        (
            "iso-time",
            ["2026-02-28T12:00:00Z", "2026-02-28T12:00:00.123+01:00"],
            ["", "2026-02-28", "12:00", "2026-02-28T25:00:00Z", "yesterday"],
        ),
    ],
)
def test_a_format_knows_its_texts(name: Format, right: list[str], wrong: list[str]) -> None:
    has_format = FORMATS[name]

    assert [text for text in right if not has_format(text)] == []
    assert [text for text in wrong if has_format(text)] == []


def test_every_format_that_may_be_named_is_there() -> None:
    assert set(FORMATS) == set(get_args(Format))


@pytest.mark.parametrize("name", get_args(Format))
def test_a_long_text_is_read_in_one_pass(name: Format) -> None:
    assert not FORMATS[name]("a." * 50_000 + "@" * 50_000)

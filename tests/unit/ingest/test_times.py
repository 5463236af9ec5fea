"""Times of many events at once: what each is alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import Malformed
from shared.ingest.rows import NO_TIME
from shared.ingest.times import milliseconds
from shared.values import parse_ts

ZONES = st.sampled_from([UTC, *[timezone(timedelta(minutes=minutes)) for minutes in (-719, -1, 330, 1439)]])
MOMENTS = st.datetimes(timezones=ZONES)
SHAPES = st.sampled_from(["seconds", "milliseconds", "microseconds"])


@given(st.lists(MOMENTS, min_size=1, max_size=5), SHAPES, st.sampled_from(["Z", "+00:00"]))
def test_times_of_one_shape_are_read_as_one_by_one(moments: list[datetime], shape: str, utc: str) -> None:
    texts = [moment.isoformat(timespec=shape).replace("+00:00", utc) for moment in moments]

    assert milliseconds(texts).tolist() == [parse_ts(text) for text in texts]


@given(st.lists(st.none() | MOMENTS.map(datetime.isoformat), min_size=1, max_size=5))
@example(["2026-01-01T00:00:00Z", "2026-01-01t00:00:00.5z", "2026-01-01 00:00:00+00:60"])
def test_times_of_several_shapes_are_read_as_one_by_one(texts: list[str | None]) -> None:
    expected = [NO_TIME if text is None else parse_ts(text) for text in texts]

    assert milliseconds(texts).tolist() == expected


@pytest.mark.parametrize(
    "wrong",
    [
        "2026-02-30T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:60Z",
        "0000-01-01T00:00:00Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00",
        "2026-01-01",
        "1767225600",
        "",
    ],
)
def test_one_time_that_is_none_refuses_all(wrong: str) -> None:
    with pytest.raises(Malformed, match="ts"):
        milliseconds(["2026-01-01T00:00:00Z", wrong])
    with pytest.raises(Malformed, match="ts"):
        milliseconds([wrong])


def test_halves_of_a_millisecond_are_rounded_up() -> None:
    assert parse_ts("1970-01-01T00:00:00.0005Z") == 1
    assert parse_ts("1969-12-31T23:59:59.9995Z") == 0

"""What is told of rows that are not as they should be in one segment."""

from __future__ import annotations

from shared.events.alert import IncidentKind
from tests.kit.data_quality import broken, nulls_in_segment


def test_what_breaks_in_one_segment_is_told_of_it() -> None:
    watched = broken({"amount": nulls_in_segment(1, 0.015)}, 20_000)

    (page,) = watched.pages
    assert page.kind is IncidentKind.DATA_QUALITY
    latest = watched.latest[page.incident_id]
    assert {(c.feature, c.segment) for c in latest.culprits} == {("amount", "shop=level-01")}
    assert latest.inside_segments == []

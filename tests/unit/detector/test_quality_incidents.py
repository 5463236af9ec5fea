"""The life of incidents of data quality, and the state that they are part of."""

from __future__ import annotations

import msgspec
import pytest

from services.detector.banks.bernoulli_cusum import BernoulliCusumBank
from services.detector.incidents.drift import CALM_WINDOWS, Change
from services.detector.incidents.quality import TOGETHER, Changed, QualityIncidents, series_of
from services.detector.quality.found import Named
from services.detector.quality.reference import Statistic
from services.detector.quality.watch import QualityWatch
from services.detector.state import pack
from services.detector.window_rows import Span
from shared.errors import Newer
from shared.events.alert import Bin, Culprit, Place, Severity
from tests.kit.references import loans, spec
from tests.truth.watching import Prepared

ALL = "all"


def culprit(feature: str, segment: str = ALL, share: float = 0.1, onset: int = 0, category: str = "") -> Culprit:
    statistic = Statistic.VANISHED if category else Statistic.MISSING
    found = Named(feature, segment, statistic).culprit(round(1_000 * share), 1_000, 0.05, Span(onset, onset + 999))
    bins = [Bin(name=category, count=0, reference_count=100, contribution=share)] if category else []
    return msgspec.structs.replace(found, bins=bins)


def detect(incidents: QualityIncidents, found: Culprit) -> Changed | None:
    onset, at = (
        Place(row=row, ts="2026-01-01T00:00:00.000Z", topic="predictions", partition=0, offset=row)
        for row in (found.onset_row, found.window_end_row)
    )
    return incidents.detect(f"id-{found.feature}-{found.onset_row}", found, onset, at, 1e-6)


def changes(*found: Culprit) -> tuple[QualityIncidents, list[Change | None]]:
    incidents = QualityIncidents()
    changed = [detect(incidents, one) for one in found]
    return incidents, [None if one is None else one[0] for one in changed]


def test_columns_that_break_within_a_thousand_rows_are_one_incident() -> None:
    incidents, told = changes(culprit("a"), culprit("b", onset=TOGETHER), culprit("c", onset=TOGETHER + 1))

    assert told == [Change.OPENED, Change.UPDATED, Change.OPENED]
    assert len(incidents.open) == 2


def test_a_column_that_is_broken_already_stays_in_its_incident() -> None:
    incidents, told = changes(culprit("a"), culprit("a", onset=9 * TOGETHER), culprit("a", "shop=x", onset=9))

    assert told == [Change.OPENED, None, None]
    (incident,) = incidents.open
    assert [one.segment for one in incident.inside.values()] == ["shop=x"]


def test_each_category_that_comes_no_more_is_news() -> None:
    incidents, told = changes(culprit("a", category="x"), culprit("a", category="y"), culprit("a", category="y"))

    assert told == [Change.OPENED, Change.UPDATED, None]
    assert len(incidents.open[0].leading()) == 2


def test_a_fifth_of_all_traffic_is_critical() -> None:
    incidents, told = changes(culprit("a"), culprit("a", "shop=x", 0.9), culprit("a", share=0.2))

    assert told == [Change.OPENED, None, Change.ESCALATED]
    assert incidents.open[0].severity is Severity.CRITICAL


def test_an_incident_ends_when_all_that_it_tells_of_was_usual_in_three_windows_in_a_row() -> None:
    incidents, _ = changes(culprit("a"), culprit("b"))
    a, b = (series_of(name, ALL, Statistic.MISSING) for name in "ab")
    calm = [True] * CALM_WINDOWS

    looks = [incidents.look(a, is_calm=one) for one in [*calm[1:], False, *calm]]
    looks += [incidents.look(b, is_calm=one) for one in calm]

    assert [look for look in looks[:-1] if look is not None] == []
    assert looks[-1] is not None
    assert looks[-1][0] is Change.RESOLVED
    assert incidents.open == []


def test_what_is_told_of_a_forgotten_segment_alone_is_over() -> None:
    incidents, _ = changes(
        culprit("a", "shop=x"), culprit("b", "shop=x", onset=5 * TOGETHER), culprit("b", "shop=y", onset=5 * TOGETHER)
    )

    (over,) = incidents.gone("shop=x")

    assert (over[0], over[1].incident_id) == (Change.RESOLVED, "id-a-0")
    (left,) = incidents.open
    assert [one.segment for one in left.leading().values()] == ["shop=y"]
    assert incidents.gone("shop=z") == []


def test_a_state_that_a_later_release_saved_is_refused() -> None:
    given = spec(segments=[])
    baseline = Prepared(given, loans(2_000)).baseline
    watch = QualityWatch("loans", baseline, given)
    state = watch.snapshot()
    bank = BernoulliCusumBank
    later = pack(bank.name, bank.version + 1, {})

    with pytest.raises(Newer, match=f"{bank.name} version {bank.version + 1}"):
        watch.restore(msgspec.structs.replace(state, bank=later))

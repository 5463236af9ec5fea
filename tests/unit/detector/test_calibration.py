"""Calibration on live traffic: a day that has two halves, of which a shuffled reference knows nothing."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from services.detector.figures import SeasonFigures
from services.detector.seasons import calibration
from services.detector.watch import Watch
from shared.events.block import TS
from tests.truth.streams import DAY_MS, START_MS, Law, Rows, Stream, category, normal, number
from tests.truth.watching import Prepared, Watched, spec_of

PER_DAY = 10_000
HELD = "calibrates on live traffic until 2024-01-08T00:00:00.000Z"


def halved(size: float, step: float = 0.0) -> Law:
    """Return a column that is larger in the second half of each day."""

    def values(rng: np.random.Generator, rows: Rows) -> np.ndarray:
        return rng.normal(step, 1.0, rows.count) + size * (rows.ts % DAY_MS >= DAY_MS // 2)

    return number(values)


def stream(size: float = 1.0, step: float = 0.0) -> Stream:
    return Stream({"rhythm": halved(size, step), "steady": normal()}, {}, PER_DAY)


@cache
def shuffled(size: float = 1.0) -> Prepared:
    """Return a model whose reference holds all hours in no order."""
    reference = stream(size).reference(1, 40_000)
    order = pa.array(np.random.default_rng(4).permutation(reference.num_rows))
    return Prepared(spec_of(stream(size), events_per_week=7.0 * PER_DAY), reference.take(order))


def inside(watched: Watched) -> Watch:
    return watched._watch


def fed(prepared: Prepared, traffic: Stream, days: float, *, cut: int = 2_000) -> Watched:
    watched = prepared.watch()
    watched.feed(traffic, np.random.default_rng(2), round(days * PER_DAY), cut=cut)
    return watched


@cache
def calibrated() -> Watched:
    """Return a watch on rows without drift, past its first week."""
    return fed(shuffled(), stream(), 9)


def test_nothing_pages_and_the_heartbeat_says_until_when() -> None:
    first = fed(shuffled(), stream(), 3)
    watch = inside(first)

    assert first.pages == []
    assert watch.armed_all_traffic == 0.0
    assert watch.not_armed == dict.fromkeys(("rhythm", "steady"), f"{HELD}: reference is not in time order")
    assert watch.drift.calibration.hash is None


def test_after_a_week_everything_may_page_and_nothing_does() -> None:
    watch = inside(calibrated())

    assert calibrated().pages == []
    assert (watch.armed_all_traffic, watch.not_armed) == (1.0, {})
    assert watch.drift.calibration.hash is not None
    learned = watch.drift.calibration.state.learned[0]
    assert learned.by_hour.tolist() == [True, False]
    assert learned.profile is not None
    assert len(learned.profile.counts) == 6  # blocks of four hours hold ten windows each
    assert learned.phi.tolist() == pytest.approx([1.0, 1.0], abs=0.2)


def test_what_is_gathered_is_let_go_when_the_week_is_over() -> None:
    during, after = (inside(one).figures().seasons for one in (fed(shuffled(), stream(), 0.5), calibrated()))

    assert during == SeasonFigures(gathered=168 * 21 + 64 * 188, without_room=0, profiles=0, profiles_limit=2)
    assert after == SeasonFigures(gathered=0, without_room=0, profiles=1, profiles_limit=2)


def test_segments_for_which_there_is_no_room_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "MAX_COUNTS", 10_000)

    assert inside(fed(shuffled(), stream(), 0.1)).figures().seasons.without_room == 1


def test_a_step_under_the_height_of_the_rhythm_is_found() -> None:
    watched = calibrated().fork()
    start = watched.rows

    watched.feed(stream(step=0.5), np.random.default_rng(3), 4_000, cut=200, until=lambda: bool(watched.pages))

    (page,) = watched.pages
    assert {culprit.feature for culprit in page.culprits} == {"rhythm"}
    assert page.detected.row - start < 2_000


def test_a_window_that_opens_an_incident_tells_the_counts_of_its_hours() -> None:
    watched = calibrated().fork()
    watched.feed(stream(step=1.0), np.random.default_rng(3), 4_000)

    incident = inside(watched)._incidents.open
    assert incident is not None
    culprit = next(one for one in incident.leading().values() if one.feature == "rhythm")
    assert culprit.detector == "psi"
    shares = np.array([one.reference_count for one in culprit.bins]) / sum(one.reference_count for one in culprit.bins)
    # Rows of the first half of the day: fewer of the larger values than the reference of whole days has.
    assert shares[9] < 0.06


def test_how_rows_are_cut_into_blocks_changes_nothing() -> None:
    other = inside(fed(shuffled(), stream(), 9, cut=777))

    assert other.drift.calibration.hash == inside(calibrated()).drift.calibration.hash
    assert other.drift.snapshot() == inside(calibrated()).drift.snapshot()


def test_a_restart_within_the_week_changes_nothing() -> None:
    watched = fed(shuffled(), stream(), 0.5)
    rng, other = np.random.default_rng(5), np.random.default_rng(5)
    resumed = watched.fork()
    for _ in range(15):
        watched.feed(stream(), rng, 5_000)
        resumed.feed(stream(), other, 5_000)
        resumed = resumed.fork()

    assert inside(resumed).drift.calibration.hash is not None
    assert inside(resumed).drift.snapshot() == inside(watched).drift.snapshot()


def test_a_drift_from_the_first_day_on_is_told_by_a_whole_day() -> None:
    watched = fed(shuffled(), stream(step=0.8), 2.1)

    (page,) = watched.pages
    assert {(one.feature, one.detector, one.threshold) for one in page.culprits} == {("rhythm", "psi_days", 0.1)}
    assert (page.onset.row, page.detected.row) == pytest.approx((PER_DAY, 2 * PER_DAY), abs=100)


def test_live_traffic_of_another_pace_calibrates_and_of_the_same_does_not() -> None:
    prepared = Prepared(spec_of(stream(0.0)), stream(0.0).reference(1, 40_000))

    same, other = prepared.watch(), prepared.watch()
    same.feed(stream(0.0), np.random.default_rng(2), 400)
    faster = Stream(stream(0.0).columns, {}, 4 * PER_DAY)
    other.feed(faster, np.random.default_rng(2), 199)
    assert inside(other).not_armed == {}
    other.feed(faster, np.random.default_rng(2), 201)

    assert inside(same).not_armed == {}
    assert inside(other).not_armed == dict.fromkeys(
        ("rhythm", "steady"), f"{HELD}: live traffic brings 1,667 rows an hour, the reference 417 to 417"
    )


def test_windows_that_no_hour_explains_stay_silent() -> None:
    def wandering(rng: np.random.Generator, rows: Rows) -> np.ndarray:
        days = (rows.ts - START_MS) // DAY_MS
        return rng.normal(0.0, 1.0, rows.count) + 1.5 * (days % 2)

    traffic = stream().but({"rhythm": number(wandering)})
    watch = inside(fed(shuffled(), traffic, 8))

    assert list(watch.not_armed) == ["rhythm"]
    assert watch.not_armed["rhythm"].startswith(
        "unsteady on live traffic: windows differ from their hours by PSI up to"
    )


def test_a_small_segment_calibrates_until_thirty_windows_have_closed() -> None:
    traffic = Stream(stream().columns, {"side": category(np.array([0.9, 0.1]))}, PER_DAY)
    reference = traffic.reference(1, 60_000)
    order = pa.array(np.random.default_rng(4).permutation(reference.num_rows))
    prepared = Prepared(spec_of(traffic, events_per_week=7.0 * PER_DAY), reference.take(order).drop_columns([TS]))
    watched = prepared.watch()
    watched.feed(traffic, np.random.default_rng(2), round(7.5 * PER_DAY))
    calibration = inside(watched).drift.calibration

    assert [calibration.why_not(0, cell) for cell in (0, 1)] == ["", ""]
    assert calibration.why_not(0, 2) == (
        "calibrates on live traffic until 30 windows have closed: reference has no ts: with one its steadiness could be"
        " tested"
    )

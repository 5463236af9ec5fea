"""Timelines of a drift incident: detections and judged windows in, changes out."""

from __future__ import annotations

import pytest

from services.detector.incidents.drift import CALM_WINDOWS, Change, DriftIncidents, Judged
from services.detector.incidents.incident import OpenIncident, key
from services.detector.structs import decode_struct, encode_struct
from shared.events.alert import Culprit, IncidentKind, Place, Severity
from tests.kit.traffic import names

OPENED, UPDATED, RESOLVED = Change.OPENED, Change.UPDATED, Change.RESOLVED
DATA, PREDICTION = IncidentKind.DATA_DRIFT, IncidentKind.PREDICTION_DRIFT
STRONG = 1e-12


def place(row: int) -> Place:
    return Place(row=row, ts="2024-01-01T00:00:00Z", topic="predictions", partition=0, offset=row)


def culprit(feature: str, segment: str = "all", p_value: float | None = STRONG, value: float = 9.0) -> Culprit:
    return Culprit(
        feature=feature,
        segment=segment,
        detector="psi",
        statistic="psi_debiased",
        value=value,
        noise_floor=1.0,
        threshold=4.4,
        p_value=p_value,
        window_rows=1_000,
        window_start_row=0,
        window_end_row=999,
        onset_row=0,
        bins=[],
    )


def judged(named: Culprit, *, armed: bool = True, passes_gate: bool, is_calm: bool) -> Judged:
    p_value = 1.0 if named.p_value is None else named.p_value
    return Judged(key(named), p_value, lambda: named, armed, passes_gate, is_calm)


def moved(feature: str, segment: str = "all", *, armed: bool = True, value: float = 9.0) -> Judged:
    """Return a window that passes the test and the gate."""
    return judged(culprit(feature, segment, value=value), armed=armed, passes_gate=True, is_calm=False)


def calm(feature: str, segment: str = "all", *, armed: bool = True) -> Judged:
    """Return a window under half the gate."""
    return judged(culprit(feature, segment, p_value=0.5, value=0.1), armed=armed, passes_gate=False, is_calm=True)


def uneasy(feature: str, segment: str = "all") -> Judged:
    """Return a window between half the gate and the gate."""
    return judged(culprit(feature, segment, p_value=0.2, value=3.0), armed=True, passes_gate=False, is_calm=False)


def detect(incidents: DriftIncidents, *features: str, chance: float = 1e-3, at: int = 1_000) -> Change | None:
    """Take sequential detections, which know no p-value."""
    found = [culprit(feature, p_value=None) for feature in features]
    return incidents.detect("id", found, place(at - 200), place(at), chance)


def opened(*features: str) -> DriftIncidents:
    incidents = DriftIncidents()
    assert detect(incidents, *features) is OPENED
    return incidents


def judge(incidents: DriftIncidents, windows: list[Judged], row: int = 100_000) -> Change | None:
    return incidents.judge(windows, row)


def current(incidents: DriftIncidents) -> OpenIncident:
    assert incidents.open is not None
    return incidents.open


def test_nothing_is_judged_while_nothing_is_open() -> None:
    incidents = DriftIncidents()

    assert judge(incidents, [moved("amount"), calm("term")]) is None
    assert incidents == DriftIncidents()


def test_a_detection_opens_an_incident() -> None:
    incident = current(opened("amount", "term"))

    assert (incident.kinds, incident.severity) == ([DATA], Severity.WARNING)
    assert (incident.onset.row, incident.detected.row) == (800, 1_000)
    assert names(list(incident.leading().values())) == {"amount", "term"}


def test_detections_while_it_is_open_only_make_chance_less_likely() -> None:
    incidents = opened("amount")

    assert detect(incidents, "term", chance=1e-9, at=2_000) is None
    assert detect(incidents, "term", chance=1e-5, at=3_000) is None

    incident = current(incidents)
    assert incident.chance_per_week == 1e-9
    assert incident.detected.row == 1_000
    assert names(list(incident.leading().values())) == {"amount"}


def test_an_opener_that_a_window_confirms_is_described_by_the_window_and_changes_nothing() -> None:
    incidents = opened("amount")

    assert judge(incidents, [moved("amount", value=20.0), calm("term")]) is None

    (named,) = current(incidents).culprits.values()
    assert named.value == 20.0


def test_openers_that_no_window_confirms_give_way_to_those_that_are_confirmed() -> None:
    incidents = opened("amount", "term")

    assert judge(incidents, [moved("amount"), uneasy("term")]) is None
    assert names(list(current(incidents).leading().values())) == {"amount"}


def test_another_column_is_an_update_once() -> None:
    incidents = opened("amount")

    windows = [moved("amount"), moved("term")]
    assert [judge(incidents, windows) for _ in range(3)] == [UPDATED, None, None]
    assert names(list(current(incidents).leading().values())) == {"amount", "term"}


def test_a_column_that_is_not_armed_is_never_named() -> None:
    incidents = opened("amount")

    assert (
        judge(incidents, [moved("amount"), moved("term", armed=False), moved("x", "channel=web", armed=False)]) is None
    )
    assert names(list(current(incidents).leading().values())) == {"amount"}
    assert current(incidents).inside == {}


def test_a_column_that_passes_the_test_without_the_effect_is_not_named() -> None:
    incidents = opened("amount")
    small = judged(culprit("term", value=2.0), armed=True, passes_gate=False, is_calm=False)

    assert judge(incidents, [moved("amount"), small]) is None


def test_the_test_is_held_to_all_columns_together() -> None:
    incidents = opened("amount")
    likely = judged(culprit("term", p_value=0.04), armed=True, passes_gate=True, is_calm=False)

    assert judge(incidents, [calm("amount"), *[calm(f"x{n}") for n in range(10)], likely]) is None
    assert current(incidents).culprits == {}


def test_columns_that_move_in_segments_only_are_told_apart_from_culprits() -> None:
    incidents = opened("amount")
    judge(incidents, [moved("amount"), calm("term")])

    assert judge(incidents, [moved("term", "channel=web"), moved("amount", "channel=web")]) is UPDATED
    assert names(list(current(incidents).inside_segments().values())) == {"term"}
    assert names(list(current(incidents).leading().values())) == {"amount"}
    assert judge(incidents, [moved("term", "channel=web"), moved("amount", "channel=web")]) is None


def test_a_column_that_becomes_a_culprit_is_no_longer_inside_segments() -> None:
    incidents = opened("amount")
    judge(incidents, [moved("amount")])
    judge(incidents, [moved("term", "channel=web")])

    assert judge(incidents, [moved("amount"), moved("term")]) is UPDATED
    assert current(incidents).inside_segments() == {}


def test_losing_an_opener_to_a_culprit_is_told_when_its_segment_shows_for_it() -> None:
    incidents = opened("amount", "term")
    assert judge(incidents, [moved("term", "channel=web")]) is None

    assert judge(incidents, [moved("amount"), calm("term")]) is UPDATED
    assert names(list(current(incidents).inside_segments().values())) == {"term"}


def test_it_resolves_after_three_calm_windows_in_a_row() -> None:
    incidents = opened("amount")
    judge(incidents, [moved("amount")])

    told = [judge(incidents, [calm("amount"), calm("term")]) for _ in range(CALM_WINDOWS)]

    assert told == [None, None, RESOLVED]


@pytest.mark.parametrize("disturbance", [moved("amount"), uneasy("amount")], ids=["moved", "uneasy"])
def test_a_window_that_is_not_calm_begins_the_count_anew(disturbance: Judged) -> None:
    incidents = opened("amount")
    judge(incidents, [moved("amount")])

    windows = [calm("amount"), calm("amount"), disturbance, calm("amount"), calm("amount"), calm("amount")]
    assert [judge(incidents, [window]) for window in windows] == [None] * 5 + [RESOLVED]


def test_every_culprit_must_be_calm() -> None:
    incidents = opened("amount", "term")
    judge(incidents, [moved("amount"), moved("term")])

    for _ in range(5):
        assert judge(incidents, [calm("amount"), uneasy("term")]) is None
    told = [judge(incidents, [uneasy("amount"), calm("term")]) for _ in range(5)]
    assert told == [None] * 5
    assert [judge(incidents, [calm("amount"), calm("term")]) for _ in range(3)] == [None, None, RESOLVED]


def test_windows_of_other_cells_do_not_calm_a_culprit() -> None:
    incidents = opened("amount")
    judge(incidents, [moved("amount")])

    assert [judge(incidents, [calm("amount", "channel=web")]) for _ in range(5)] == [None] * 5


def test_an_opener_in_a_segment_is_calmed_by_that_segments_windows() -> None:
    incidents = DriftIncidents()
    incidents.detect("id", [culprit("term", "channel=web")], place(0), place(10), 1e-3)

    assert [judge(incidents, [calm("term")]) for _ in range(5)] == [None] * 5
    assert [judge(incidents, [calm("term", "channel=web")]) for _ in range(3)] == [None, None, RESOLVED]


def test_an_opener_whose_windows_may_not_page_resolves_all_the_same() -> None:
    incidents = opened("amount")

    assert [judge(incidents, [calm("amount", armed=False)]) for _ in range(3)] == [None, None, RESOLVED]


def test_a_closed_incident_leaves_nothing_behind() -> None:
    incidents = opened("amount")
    judge(incidents, [moved("amount"), moved("term", "channel=web")])
    incidents.close()

    assert incidents == DriftIncidents()
    assert detect(incidents, "term") is OPENED
    assert names(list(current(incidents).leading().values())) == {"term"}


@pytest.mark.parametrize(
    ("features", "kinds"),
    [
        (["amount"], [DATA]),
        (["prediction"], [PREDICTION]),
        (["score"], [PREDICTION]),
        (["score_1"], [PREDICTION]),
        (["score_1", "amount"], [DATA, PREDICTION]),
        (["scoreboard"], [DATA]),
    ],
)
def test_kinds_follow_from_the_columns_inputs_first(features: list[str], kinds: list[IncidentKind]) -> None:
    assert current(opened(*features)).kinds == kinds


def test_kinds_follow_the_culprits_as_they_are_confirmed() -> None:
    incidents = opened("prediction")
    assert current(incidents).kinds == [PREDICTION]

    judge(incidents, [moved("prediction"), moved("amount")])
    assert current(incidents).kinds == [DATA, PREDICTION]


def test_an_incident_survives_a_checkpoint() -> None:
    incidents = opened("amount")
    judge(incidents, [moved("amount"), moved("term", "channel=web")])
    judge(incidents, [calm("amount")])
    restored = decode_struct(encode_struct(incidents), DriftIncidents)

    assert restored == incidents
    assert [judge(restored, [calm("amount")]) for _ in range(2)] == [None, RESOLVED]


def test_a_segment_that_is_forgotten_ends_the_incident_that_it_alone_led() -> None:
    incidents = DriftIncidents()
    incidents.detect("id", [culprit("amount", "channel=app")], place(800), place(1_000), STRONG)

    assert incidents.gone("channel=web", 2_000) is None
    assert incidents.gone("channel=app", 2_000) is RESOLVED
    assert incidents.quiet == {}


def test_what_moves_elsewhere_too_goes_on_without_a_segment_that_is_forgotten() -> None:
    incidents = DriftIncidents()
    found = [culprit("amount", "channel=app"), culprit("term")]
    incidents.detect("id", found, place(800), place(1_000), STRONG)

    assert incidents.gone("channel=app", 2_000) is None
    assert [judge(incidents, [calm("term")]) for _ in range(CALM_WINDOWS)] == [None, None, RESOLVED]


def test_a_forgotten_segment_ends_nothing_where_nothing_is_open() -> None:
    assert DriftIncidents().gone("channel=app", 2_000) is None

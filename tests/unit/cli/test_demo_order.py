from __future__ import annotations

import msgspec

from services.cli.demo import sets
from services.cli.demo.order import Event, events, side_by_side
from shared.monitors import parse_monitors, read_monitors


def line(request_id: str, ts: str) -> bytes:
    return msgspec.json.encode({"request_id": request_id, "ts": ts})


def order(produced: list[Event]) -> list[tuple[int, str, bool]]:
    return [(event.after_ms, event.request_id, event.is_label) for event in produced]


def test_events_of_a_set_come_by_their_own_time() -> None:
    predictions = [line("a", "2024-01-01T00:00:00Z"), line("b", "2024-01-01T00:00:02Z")]
    labels = [line("a", "2024-01-01T00:00:01Z"), line("b", "2024-01-01T00:00:03Z")]

    produced = list(events("m", predictions, labels))

    assert order(produced) == [(0, "a", False), (1_000, "a", True), (2_000, "b", False), (3_000, "b", True)]


def test_a_prediction_comes_before_a_label_of_the_same_moment_and_file_order_breaks_other_ties() -> None:
    now = "2024-01-01T00:00:00.000Z"

    produced = list(events("m", [line("a", now), line("b", now)], [line("z", now), line("y", now)]))

    assert order(produced) == [(0, "a", False), (0, "b", False), (0, "z", True), (0, "y", True)]


def test_an_event_keeps_the_bytes_of_its_line() -> None:
    written = b'{"request_id":"a","ts":"2024-01-01T00:00:00Z","features":{"x":1.50}}'

    (produced,) = events("m", [written], [])

    assert produced.value is written


def test_sets_run_side_by_side_as_if_begun_together() -> None:
    old = events("old", [line("a", "2012-01-01T00:00:00Z"), line("b", "2012-01-01T00:00:09Z")], [])
    new = events("new", [line("c", "2024-01-01T00:00:00Z"), line("d", "2024-01-01T00:00:05Z")], [])

    produced = list(side_by_side([old, new]))

    assert [event.request_id for event in produced] == ["a", "c", "d", "b"]


def test_the_first_rows_of_a_set_come_with_their_labels_and_no_others() -> None:
    produced = list(sets.recorded("bikes", rows=50))

    predicted = {event.request_id for event in produced if not event.is_label}
    labelled = {event.request_id for event in produced if event.is_label}
    assert (len(produced), len(predicted)) == (100, 50)
    assert labelled == predicted


def test_the_sets_hold_58_734_predictions_and_as_many_labels() -> None:
    kinds = [event.is_label for name in sets.SETS for event in sets.recorded(name)]

    assert (kinds.count(False), kinds.count(True)) == (58_734, 58_734)


def test_the_demo_watches_every_set_and_asks_its_own_receiver_to_retrain() -> None:
    monitors = parse_monitors(sets.configuration("http://127.0.0.1:4711/retrain"))

    urls = {name: model.retrain and model.retrain.action.webhook.url for name, model in monitors.models.items()}
    assert urls == dict.fromkeys(sets.SETS, "http://127.0.0.1:4711/retrain")


def test_the_demo_changes_nothing_but_reference_and_receiver() -> None:
    monitors = parse_monitors(sets.configuration("http://127.0.0.1:9999/retrain"))

    for name in sets.SETS:
        (written,) = read_monitors(sets.folder(name) / "driftline.yaml").models.values()
        reference = str(sets.folder(name) / written.reference_file)
        assert monitors.models[name] == msgspec.structs.replace(written, reference=reference)

"""Dead letters as operators work with them: counted, shown, replayed."""

from __future__ import annotations

import pytest

from services.cli.dead_letters.coordinates import Coordinates, check_input, coordinates_of, log_of
from services.cli.dead_letters.replay import Fate, Replay, Replayed, texts_of
from services.cli.dead_letters.selection import Selection, letters
from services.cli.dead_letters.shown import shown
from services.cli.dead_letters.summary import By, Group, groups, table_of
from shared.errors import ConfigurationError, Corrupt
from shared.events.dead_letter import dead_letter
from shared.ingest.options import IngestOptions
from shared.log import Outgoing, Record, TopicPartition
from shared.topics import Topics
from tests.kit.ingest import NOW, TOPICS, Ingest, animals, intakes, loan, prediction, predictions, price, publish
from tests.kit.pipeline import Pipeline, label, monitored
from tests.kit.pipeline import prediction as predicted

ALL = Selection()
DAY_MS = 86_400_000


def refused() -> Ingest:
    """Return a service that has refused five records, two of them alike."""
    service = predictions(price())
    service.take(b"garbage", prediction(), b"")
    service.clock.sleep(3_600.0)
    service.take(b"rubbish", prediction(request_id="r2"))
    return service


def found(service: Ingest, selection: Selection = ALL) -> list[str]:
    return [str(letter.coordinates) for letter in letters(service.broker.reader(), TOPICS, selection)]


def replayed(
    service: Ingest, selection: Selection = ALL, *, send: bool = True, stale_at_ms: int | None = NOW
) -> Replayed:
    reader = service.broker.reader()
    replay = Replay(
        TOPICS,
        intakes(service.catalogue),
        service.broker.reader(),
        service.broker.writer() if send else None,
        stale_at_ms,
    )
    return replay.run(letters(reader, TOPICS, selection))


def test_a_selection_says_in_words_what_it_asks_for() -> None:
    asked = Selection(
        frozenset({"json", "empty"}),
        frozenset({"loan"}),
        frozenset({"predictions"}),
        0,
        frozenset({coordinates_of("predictions/0/1")}),
    )

    assert ALL.words() == []
    assert asked.words() == [
        *("reason empty", "reason json", "model loan", "topic predictions"),
        *("since 1970-01-01T00:00:00.000Z", "1 by their coordinates"),
    ]


def test_letters_are_counted_by_what_they_have_in_common_the_largest_group_first() -> None:
    by = [By.REASON, By.MODEL, By.TOPIC]
    counted = groups(letters(refused().broker.reader(), TOPICS, ALL), by)

    assert [(*group.by.values(), group.count, group.example) for group in counted] == [
        ("json", "", "predictions", 2, "predictions/0/3"),
        ("unknown_model", "loan", "predictions", 2, "predictions/0/4"),
        ("empty", "", "predictions", 1, "predictions/0/2"),
    ]
    assert (counted[0].first, counted[0].last) == ("2025-06-15T15:06:40.000Z", "2025-06-15T16:06:40.000Z")
    assert list(table_of(counted, by).rows[2]) == [
        "empty",
        "-",
        "predictions",
        "1",
        "2025-06-15T15:06:40.000Z",
        "2025-06-15T15:06:40.000Z",
        "predictions/0/2",
    ]


def test_letters_are_counted_by_the_time_of_their_refusal() -> None:
    counted = groups(letters(refused().broker.reader(), TOPICS, ALL), [By.DAY, By.HOUR])

    assert [group.by for group in counted] == [
        {"day": "2025-06-15", "hour": "2025-06-15T15"},
        {"day": "2025-06-15", "hour": "2025-06-15T16"},
    ]


def test_groups_without_end_become_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.cli.dead_letters.summary.MAX_GROUPS", 1)
    counted = groups(letters(refused().broker.reader(), TOPICS, ALL), [By.REASON])

    assert [(group.by["reason"], group.count) for group in counted] == [("__other__", 3), ("json", 2)]


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (Selection(reasons=frozenset({"json", "empty"})), [0, 2, 3]),
        (Selection(models=frozenset({"loan"})), [1, 4]),
        (Selection(topics=frozenset({"ground-truth"})), []),
        (Selection(since_ms=NOW + 1), [3, 4]),
        (Selection(coordinates=frozenset([coordinates_of("predictions/0/2")])), [2]),
    ],
    ids=["reason", "model", "topic", "since", "coordinates"],
)
def test_letters_are_chosen(selection: Selection, wanted: list[int]) -> None:
    assert found(refused(), selection) == [f"predictions/0/{offset}" for offset in wanted]


def test_a_record_that_was_refused_twice_is_one_letter() -> None:
    service = predictions()
    service.take(b"garbage")
    service.restart()
    service.take()

    assert len(service.letters) == 2
    assert found(service) == ["predictions/0/0"]


def test_a_topic_that_holds_something_else_is_corrupt() -> None:
    service = predictions()
    service.broker.append(Outgoing(TOPICS.dead_letters, b"hello"))

    with pytest.raises(Corrupt, match=r"driftline\.dead-letters-0@0: not a dead letter"):
        found(service)


def test_a_letter_is_shown_with_its_record_only_where_it_is_asked_for() -> None:
    service = predictions()
    service.take(b"\x1b[2J{garbage\n")
    (letter,) = letters(service.broker.reader(), TOPICS, ALL)

    plain = shown(service.broker.reader(), letter, with_payload=False)
    full = shown(service.broker.reader(), letter, with_payload=True)

    assert (plain.record, plain.payload) == ("kept", None)
    assert not any("garbage" in line for line in plain.lines())
    assert full.payload == "\\x1b[2J{garbage\\n"
    assert next(full.lines()) == "coordinates  predictions/0/0"


def test_a_letter_whose_record_is_gone_or_another_one_says_so() -> None:
    service = predictions()
    service.take(b"garbage")
    (letter,) = letters(service.broker.reader(), TOPICS, ALL)
    service.broker.truncate(TopicPartition(TOPICS.predictions, 0), 0)
    gone = shown(service.broker.reader(), letter, with_payload=True)
    service.write(b"something else")
    other = shown(service.broker.reader(), letter, with_payload=True)

    assert [(one.record, one.payload) for one in (gone, other)] == [("gone", None), ("replaced", None)]


def test_a_dry_run_tells_what_would_become_of_each_and_sends_nothing() -> None:
    service = refused()
    publish(service.catalogue, loan(), offset=10)

    tried = replayed(service, send=False)

    assert tried == Replayed(
        sent=False,
        fates=[
            Fate(fate="row", count=2, example="predictions/0/4"),
            Fate(fate="json", count=2, example="predictions/0/3"),
            Fate(fate="empty", count=1, example="predictions/0/2"),
        ],
    )
    assert (service.rows, tried.is_complete) == ([], False)
    assert list(texts_of(tried)) == ["nothing was sent; --yes sends what gives rows"]


def test_what_is_usable_now_is_sent_with_its_own_coordinates() -> None:
    service = refused()
    publish(service.catalogue, loan(), offset=10)

    done = replayed(service, Selection(reasons=frozenset({"unknown_model"})))

    assert done.is_complete
    assert [(row["src_topic"], row["src_partition"], row["src_offset"]) for row in service.rows] == [
        ("predictions", 0, 1),
        ("predictions", 0, 4),
    ]
    assert len(service.letters) == 5


def test_what_is_gone_or_another_record_or_of_no_input_is_not_sent() -> None:
    service = predictions(price())
    service.take(prediction(), prediction(request_id="r2"), prediction(request_id="r3"))
    publish(service.catalogue, loan(), offset=10)
    service.broker.truncate(TopicPartition(TOPICS.predictions, 0), 1)
    service.write(prediction(request_id="r9"))
    alert = Record("alerts", 0, 7, NOW, None, b"{}")
    service.broker.append(dead_letter(TOPICS, alert, service="notifier", reason="refused", detail="", model=None))

    done = replayed(service)

    assert {one.fate: one.example for one in done.fates} == {
        "row": "predictions/0/0",
        "replaced": "predictions/0/1",
        "gone": "predictions/0/2",
        "no_input": "alerts/0/7",
    }
    assert len(service.rows) == 1


def test_records_older_than_the_horizon_are_taken_only_where_that_is_asked_for() -> None:
    service = predictions()
    service.write(prediction(), ts_ms=NOW - 11 * DAY_MS)
    service.take()
    assert service.reasons == ["stale"]

    assert [one.fate for one in replayed(service).fates] == ["stale"]
    assert [one.fate for one in replayed(service, stale_at_ms=None).fates] == ["row"]


def test_records_far_apart_are_found() -> None:
    service = predictions(price(), options=IngestOptions(linger_ms=0))
    good = {"request_id": "p", "model": "price", "model_version": "v", "features": {"size": 1}, "prediction": 2.0}
    service.take(prediction(), *[good] * 2_500, prediction(request_id="r2"))
    publish(service.catalogue, loan(), animals(), offset=10)

    assert [(one.fate, one.count) for one in replayed(service, send=False).fates] == [("row", 2)]


def test_a_second_replay_changes_nothing() -> None:
    pipeline = Pipeline(monitored(loan={}, house={}))
    definition = pipeline.catalogue.current.pop("house")
    pipeline.kill("prediction_consumer", "ground_truth_consumer")
    pipeline.predict(**predicted(model="house"))
    pipeline.label(**label(model="house"))
    pipeline.run()
    pipeline.catalogue.current["house"] = definition

    for _ in range(2):
        replay = Replay(
            pipeline.topics,
            intakes(pipeline.catalogue, pipeline.topics),
            pipeline.broker.reader(),
            pipeline.broker.writer(),
            None,
        )
        done = replay.run(letters(pipeline.broker.reader(), pipeline.topics, ALL))
        pipeline.run()

        counted = pipeline.counters("house")
        assert [(one.fate, one.count) for one in done.fates] == [("row", 2)]
        assert (counted.served, counted.labels_joined) == (1, 1)
    assert (counted.prediction_duplicates, counted.label_duplicates, counted.corrections) == (1, 1, 0)


def test_coordinates_read_back_as_they_are_written() -> None:
    text = "eu.predictions/3/1234"

    assert str(coordinates_of(text)) == text
    assert coordinates_of(text) == Coordinates(TopicPartition("eu.predictions", 3), 1234)
    assert log_of("eu.predictions/3") == TopicPartition("eu.predictions", 3)


@pytest.mark.parametrize(
    "text", ["", "predictions", "predictions/", "/0", "predictions/x", "predictions/0/-1", "predictions/0/" + 20 * "9"]
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not TOPIC/PARTITION/OFFSET, like predictions/0/123"):
        coordinates_of(text)


def test_only_inputs_are_resumed() -> None:
    check_input(Topics(), TopicPartition("ground-truth", 1))
    with pytest.raises(ConfigurationError, match="topic alerts: is not an input"):
        check_input(Topics(), TopicPartition("alerts", 0))


def test_a_group_has_the_names_it_was_made_by() -> None:
    counted = groups(letters(refused().broker.reader(), TOPICS, Selection(reasons=frozenset({"empty"}))), [By.TOPIC])
    at = "2025-06-15T15:06:40.000Z"

    assert counted == [Group(by={"topic": "predictions"}, count=1, first=at, last=at, example="predictions/0/2")]

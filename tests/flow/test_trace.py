"""One request is followed from its event to the incident that covers it."""

from __future__ import annotations

from functools import cache

import pytest

from services.cli.erasure import erase
from services.cli.log_baseline import Refused
from services.cli.trace.found import Trace
from services.cli.trace.lines import listing, sentences
from services.cli.trace.run import trace
from services.cli.verify.installation import Silence
from shared.errors import ConfigurationError
from shared.events.block import BlockKind
from shared.identity import IdKey
from tests.kit.pipeline import KEY, NOW, Pipeline, monitored
from tests.kit.verifying import Left, written

ROWS = 3_200


@cache
def left() -> Left:
    """Return what a pipeline has left whose inputs changed half way; r1 was erased at the end."""
    pipeline = written(Pipeline(monitored(loan={})), ROWS)
    erase(pipeline.broker.reader(), pipeline.broker.writer(), pipeline.topics, KEY, "loan", ["r1"], "ada", NOW)
    pipeline.run()
    return Left.of(pipeline)


def traced(request_id: str, model: str = "loan", key: IdKey = KEY) -> Trace:
    return trace(left().broker.reader(), left().topics, key, Silence(), model, request_id)


def test_a_request_is_found_in_every_log_and_by_the_event_that_it_came_from() -> None:
    found = traced("r7")

    assert found.identity == KEY.request("loan", "r7").hex()
    assert [(half.kind, half.event, half.is_event_kept) for half in found.halves] == [
        (BlockKind.PREDICTION, "predictions-0@7", True),
        (BlockKind.LABEL, "ground-truth-0@7", True),
    ]
    assert [(seen.kind, seen.served_row) for seen in found.observations] == [
        (BlockKind.SERVED, 7),
        (BlockKind.LABELLED, None),
    ]
    assert found.observations[1].label is not None
    assert found.cohorts == ["v1, served rows 0..999"]
    assert (found.is_found, found.is_erased, found.not_covered) == (True, False, [])


def test_the_windows_are_those_of_all_traffic_and_of_the_request_s_segments() -> None:
    found = traced("r7")

    channel = found.observations[0].segments["channel"]
    whole = [window for window in found.windows if window.segment == "all"]
    assert {window.segment for window in found.windows} <= {"all", f"channel={channel}"}
    assert (whole[0].first_served_row, whole[0].last_served_row) == (0, 999)
    assert whole[0].series > 4


def test_an_incident_covers_what_was_predicted_since_its_onset() -> None:
    before, after = traced("r7"), traced(f"r{ROWS - 1}")

    assert before.incidents == []
    assert [(incident.kind, incident.until) for incident in after.incidents] == [("data_drift", None)]
    assert list(sentences(after))[-1].startswith(f"incident {after.incidents[0].incident_id}: warning data_drift since")


def test_a_request_that_was_erased_says_so() -> None:
    found = traced("r1")

    assert found.is_erased
    assert [half.kind for half in found.halves] == [BlockKind.PREDICTION, BlockKind.LABEL, BlockKind.ERASURE]
    assert found.halves[-1].event is None
    assert listing(found).rows[0][-1] == "from predictions-0@1"


def test_a_request_that_nobody_has_seen_is_found_nowhere() -> None:
    found = traced("never seen")

    assert (found.is_found, found.halves, found.windows, found.incidents) == (False, [], [], [])


def test_a_model_that_nobody_has_published_is_refused() -> None:
    with pytest.raises(Refused, match=r"^no definition of a model 'lawn' is published; known: loan$"):
        traced("r7", model="lawn")


def test_another_key_is_refused_and_not_taken_for_nothing_found() -> None:
    with pytest.raises(ConfigurationError, match=r"^DRIFTLINE_ID_KEY: is not the key"):
        traced("r7", key=IdKey(b"another"))

"""A person asks to be forgotten: what is kept of a request goes, nothing comes back, and every proof still holds."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from services.cli.erasure import MAX_REQUESTS, Erased, erase, remains
from services.cli.log_baseline import Refused
from services.cli.publication import Publication
from services.cli.verify.report import Outcome
from services.cli.verify.run import verify
from services.joiner.lookup import look_up
from shared.acts import Act, ActKind, act_in
from shared.errors import ConfigurationError
from shared.events.block import BlockKind, decode
from shared.identity import IdKey
from shared.topics import DAY_MS
from tests.kit.pipeline import KEY, NOW, Pipeline, label, monitored, prediction
from tests.kit.verifying import Left, written

DAYS = str(7 * DAY_MS)
MONITORS = monitored(loan={"spread": 2})


def forget(pipeline: Pipeline, *request_ids: str, model: str = "loan", key: IdKey = KEY) -> tuple[int, list[str]]:
    broker = pipeline.broker
    return erase(broker.reader(), broker.writer(), pipeline.topics, key, model, request_ids, "ada", NOW)


def events(pipeline: Pipeline, request_id: str) -> None:
    """Write a prediction and its label, and let the services take them."""
    pipeline.predict(**prediction(request_id=request_id))
    pipeline.label(**label(request_id=request_id))
    pipeline.run()


def observed(pipeline: Pipeline, request_id: str) -> list[BlockKind]:
    """Return the kinds of rows that there are of a request."""
    identity = KEY.request("loan", request_id)
    return [kind for kind in BlockKind for row in pipeline.rows(kind) if row["id"] == identity]


def partition_of(pipeline: Pipeline, request_id: str) -> int:
    partitions = pipeline.topics.halves_partitions
    return KEY.half_partition("loan", KEY.request("loan", request_id), spread=2, partitions=partitions)


def test_an_erased_request_is_kept_nowhere_for_joining_and_nothing_more_is_taken_of_it() -> None:
    pipeline = Pipeline(MONITORS)
    events(pipeline, "r1")
    events(pipeline, "r2")

    forget(pipeline, "r1")
    pipeline.run()
    pipeline.predict(**prediction(request_id="r1", model_version="v2"))
    pipeline.label(**label(request_id="r1", label=0, label_version=2))
    pipeline.run()

    kept = look_up(pipeline.view, partition_of(pipeline, "r1"), KEY.request("loan", "r1"))
    assert kept is not None
    assert (kept.is_erased, kept.predictions, kept.label) == (True, [], None)
    assert observed(pipeline, "r1") == [BlockKind.SERVED, BlockKind.LABELLED]
    assert observed(pipeline, "r2") == [BlockKind.SERVED, BlockKind.LABELLED]
    counters = pipeline.counters("loan")
    assert (counters.erasures, counters.predictions_erased, counters.labels_erased) == (1, 1, 1)


def test_an_erasure_before_the_label_leaves_the_label_alone() -> None:
    pipeline = Pipeline(MONITORS)
    pipeline.predict(**prediction(request_id="r1"))
    pipeline.run()

    forget(pipeline, "r1")
    pipeline.label(**label(request_id="r1"))
    pipeline.run()

    assert observed(pipeline, "r1") == [BlockKind.SERVED]


def test_a_request_is_found_wherever_a_definition_has_put_it() -> None:
    pipeline = Pipeline(MONITORS)
    events(pipeline, "r1")
    narrower = monitored(loan={"spread": 1}).models["loan"]
    current = pipeline.catalogue.definitions[pipeline.catalogue.current["loan"]]
    moved = msgspec.structs.replace(current, spec=narrower)
    pipeline.publish(Publication(moved, pipeline.catalogue.baseline(current)))

    _, records = forget(pipeline, *(f"r{number}" for number in range(8)))
    pipeline.run()

    kept = look_up(pipeline.view, partition_of(pipeline, "r1"), KEY.request("loan", "r1"))
    assert len(records) == 2
    assert kept is not None
    assert kept.is_erased


def test_what_was_erased_survives_a_rebuild_of_the_view() -> None:
    pipeline = Pipeline(MONITORS)
    events(pipeline, "r1")
    forget(pipeline, "r1")
    pipeline.run()
    before = pipeline.counters("loan")

    for shard in range(pipeline.topics.halves_partitions):
        pipeline.view.drop(shard)
    pipeline.kill("joiner")
    events(pipeline, "r2")

    assert observed(pipeline, "r1") == [BlockKind.SERVED, BlockKind.LABELLED]
    assert pipeline.counters("loan").erasures == before.erasures == 1


def test_a_verification_finds_nothing_wrong_with_an_erasure() -> None:
    pipeline = written(Pipeline(MONITORS), 800)
    forget(pipeline, "r1", "r2", "r799", "never seen")
    pipeline.run()
    events(pipeline, "r1")
    pipeline.run()
    pipeline.pass_time(3)  # so that a checkpoint is due
    pipeline.run()

    report = verify(Left.of(pipeline).installation())

    assert report.outcome is Outcome.CLEAN
    assert sum(proof.counts.get("erasures", 0) for proof in report.proofs) == 4


def test_who_asked_is_kept_and_not_for_whom() -> None:
    pipeline = Pipeline(MONITORS)
    events(pipeline, "r1")

    requests, records = forget(pipeline, "r1", "r1", "r2")

    (record,) = [found for found in pipeline.broker.records(pipeline.topics.control) if b"/act/" in (found.key or b"")]
    act = act_in(record)
    assert act == Act(
        kind=ActKind.ERASE, model="loan", at="2025-06-15T15:06:40.000Z", by="ada", requests=2, records=records
    )
    assert requests == 2
    hashes = [KEY.request("loan", name).hex().encode() for name in ("r1", "r2")]
    assert not any(hashed in (record.value or b"") for hashed in hashes)


@pytest.mark.parametrize(
    ("request_ids", "model", "why"),
    [
        ((), "loan", "0 request ids; give 1 to 100,000"),
        (tuple(map(str, range(MAX_REQUESTS + 1))), "loan", "100,001 request ids; give 1 to 100,000"),
        (("r1", ""), "loan", "request id 2 has 0 characters; 1 to 256 can be one"),
        (("r1",), "lawn", "no definition of a model 'lawn' is published; known: loan"),
    ],
    ids=["none", "too many", "empty", "unknown model"],
)
def test_what_cannot_be_erased_is_refused_before_anything_is_written(
    request_ids: Sequence[str], model: str, why: str
) -> None:
    pipeline = Pipeline(MONITORS)
    events(pipeline, "r1")
    before = len(pipeline.broker.records(pipeline.topics.halves))

    with pytest.raises(Refused) as refused:
        forget(pipeline, *request_ids, model=model)

    assert str(refused.value) == why
    assert len(pipeline.broker.records(pipeline.topics.halves)) == before


def test_another_key_than_the_installations_is_refused_since_it_would_stop_the_joiner() -> None:
    pipeline = Pipeline(MONITORS)
    events(pipeline, "r1")

    with pytest.raises(
        ConfigurationError, match=r"^DRIFTLINE_ID_KEY: is not the key that driftline\.halves is written"
    ):
        forget(pipeline, "r1", key=IdKey(b"another"))

    assert {decode(record).kind for record in pipeline.broker.records(pipeline.topics.halves)} == {
        BlockKind.PREDICTION,
        BlockKind.LABEL,
    }


def test_without_any_row_there_is_nothing_to_forget() -> None:
    with pytest.raises(Refused, match=r"driftline\.halves holds no rows: there is nothing to forget"):
        forget(Pipeline(MONITORS), "r1")


def test_what_remains_is_told_with_its_time() -> None:
    pipeline = Pipeline(MONITORS)
    topics = pipeline.topics

    found = remains(pipeline.catalogue, topics, "loan", {topics.predictions: DAYS, topics.halves: "-1"})

    until = {remainder.where: remainder.until for remainder in found}
    assert until["predictions"] == "7 days after they were written"
    assert until["driftline.halves"] == "as long as the topic is kept"
    assert until["Redis, joiner"] == "60 days after the erasure"
    erased = Erased(model="loan", requests=1, records=["driftline.halves-0@7"], remains=found)
    assert erased.listing().head == ("where", "what remains of them", "until")
    assert msgspec.json.decode(msgspec.json.encode(erased), type=Erased) == erased

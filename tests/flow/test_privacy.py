"""What a person's data must not become: a name in a baseline, a value in a topic of ours, a word in a log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

import msgspec
import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from services.cli.publication import Publication
from services.cli.verify.report import Outcome
from services.cli.verify.run import verify
from shared.adapters.prometheus import registry_of
from shared.durations import UNITS_MS
from shared.errors import ConfigurationError
from tests.kit.pipeline import KEY, Pipeline, findings, monitored, traffic
from tests.kit.verifying import Left

HASHED = {"features": {"region": {"hash": True}, "channel": {"hash": True}}}
STEADY, PIECE = 2_000, 250
VALUES = (b"north", b"south", b"west", b"web", b"branch")


def watched(spec: Mapping[str, object]) -> Pipeline:
    """Return a pipeline after a drift of `region`, whose events have more fields than anyone watches."""
    pipeline = Pipeline(monitored(loan=spec))
    events = traffic(STEADY) + traffic(STEADY, first=STEADY, region="south")
    for start in range(0, len(events), PIECE):
        pipeline.pass_time(UNITS_MS["h"] / 1_000)
        for predicted, truth in events[start : start + PIECE]:
            pipeline.predict(**predicted, email="ada@planted", person={"name": "planted"})
            pipeline.label(**truth, comment="planted")
        pipeline.run()
    return pipeline


def kept(pipeline: Pipeline) -> bytes:
    """Return everything that the services have written and keep."""
    topics = pipeline.topics
    raw = {topics.predictions, topics.ground_truth}
    records = [found for spec in topics.specs() if spec.name not in raw for found in pipeline.broker.records(spec.name)]
    content = [part for found in records for part in (found.key, found.value, *(value for _, value in found.headers))]
    for shard in range(topics.halves_partitions):
        snapshot = pipeline.view.load(shard)
        content += [snapshot.meta, snapshot.words]
        content += [pipeline.view.find(shard, identity) for ids in pipeline.view.scan(shard) for identity in ids]
    content += [repr(pipeline.checkpoints.__reduce_ex__(2)).encode()]
    return b"".join(part or b"" for part in content)


def test_of_values_that_are_hashed_nothing_is_kept_written_logged_or_counted() -> None:
    with capture_logs() as lines:
        pipeline = watched(HASHED)

    scraped = b"".join(generate_latest(registry_of(partial(pipeline.measures, name))) for name in pipeline.services)
    content = kept(pipeline) + repr(lines).encode() + scraped + repr(pipeline.channel.notices).encode()
    assert [value for value in VALUES if re.search(rb"\b" + value + rb"\b", content)] == []
    assert KEY.levels("loan", "region")("south").encode() in content


def test_what_drifts_is_found_as_well_by_its_hashes() -> None:
    plain, hashed = watched({}), watched(HASHED)

    assert findings(hashed) == findings(plain)
    assert len(findings(hashed)) == 1
    assert verify(Left.of(hashed).installation()).outcome is Outcome.CLEAN


def test_fields_that_nobody_watches_are_dropped_before_the_halves() -> None:
    assert b"planted" not in kept(watched({}))


def test_a_consumer_with_another_key_than_the_baselines_refuses_to_begin() -> None:
    pipeline = Pipeline(monitored(loan=HASHED))
    current = pipeline.catalogue.definitions[pipeline.catalogue.current["loan"]]
    foreign = msgspec.structs.replace(current, id_key="0badcafe")
    pipeline.publish(Publication(foreign, pipeline.catalogue.baseline(current)))
    pipeline.kill("joiner")

    with pytest.raises(ConfigurationError) as refused:
        pipeline.kill("prediction_consumer")

    assert str(refused.value) == "DRIFTLINE_ID_KEY: is not the key that the baseline of loan was hashed with"

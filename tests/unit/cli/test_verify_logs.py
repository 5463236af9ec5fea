"""Folding the logs of a pipeline again: silent about what the services wrote, and about nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache

import msgspec
import pyarrow as pa
import pytest

from services.cli.verify.report import Check, Outcome, Proof
from services.cli.verify.run import verify
from services.joiner.adapters.memory_view import MemoryView
from services.joiner.meta import Meta
from services.joiner.view import Snapshot
from shared.events.block import BlockKind, decode
from shared.log import Outgoing, Record, TopicPartition
from tests.kit.keeping import kept, put
from tests.kit.pipeline import Pipeline, monitored
from tests.kit.tampering import rechained, rewrite, with_column
from tests.kit.verifying import Left, written

ROWS, LATER_ROWS = 1_600, 800


@cache
def lefts() -> tuple[Left, Left]:
    """Return what a pipeline has left after `ROWS`, and what the same one has left after `LATER_ROWS` more."""
    pipeline = written(Pipeline(monitored(loan={})), ROWS)
    earlier = Left.of(pipeline)
    return earlier, Left.of(written(pipeline, LATER_ROWS, first=ROWS))


@pytest.fixture
def left() -> Left:
    return lefts()[0].copy()


def proofs(left: Left, check: Check) -> list[Proof]:
    return [proof for proof in verify(left.installation()).proofs if proof.check is check]


def counted(found: Iterable[Proof], what: str) -> int:
    return sum(proof.counts.get(what, 0) for proof in found)


def different(left: Left) -> Iterator[tuple[Check, str, str]]:
    report = verify(left.installation())
    assert report.outcome is (Outcome.DIFFERENT if any(p.different for p in report.proofs) else Outcome.CLEAN)
    for proof in report.proofs:
        for difference in proof.differences:
            yield proof.check, difference.at, difference.text


def test_what_the_services_wrote_is_what_the_logs_make(left: Left) -> None:
    report = verify(left.installation())

    assert report.outcome is Outcome.CLEAN
    assert [proof for proof in report.proofs if proof.not_covered] == []
    assert counted(proofs(left, Check.JOINS), "joined") == ROWS
    assert counted(proofs(left, Check.JOINS), "served rows") == ROWS
    assert counted(proofs(left, Check.ALERTS), "alerts") == len(left.broker.records(left.topics.alerts)) > 1
    ends = {proof.log: proof.end for proof in proofs(left, Check.CHECKPOINT)}
    assert ends == {
        f"driftline.observations-{number}": position for number, (position, _) in left.checkpoints.kept.items()
    }


def test_work_that_a_death_repeated_is_counted_and_is_no_difference() -> None:
    fail = "joiner.before_cas:exit@3,detector.before_checkpoint:exit@2"
    pipeline = written(Pipeline(monitored(loan={}), fail=fail), 1_200)
    left = Left.of(pipeline)

    assert pipeline.deaths == ["joiner.before_cas", "detector.before_checkpoint"]
    assert list(different(left)) == []
    assert counted(proofs(left, Check.OBSERVATIONS), "copies") > 0


def test_what_is_under_way_is_no_difference() -> None:
    """State in Redis is older than what follows from it, whenever one looks between the two."""
    earlier, left = (found.copy() for found in lefts())
    left.view, left.checkpoints = earlier.view, earlier.checkpoints

    assert list(different(left)) == []
    views = {proof.log: (proof.is_decided, proof.end) for proof in proofs(left, Check.VIEW)}
    assert views == {f"driftline.halves-{shard}": (True, earlier.view.load(shard).position) for shard in (0, 1)}
    assert {proof.log: proof.end for proof in proofs(left, Check.CHECKPOINT)} == {
        f"driftline.observations-{number}": position for number, (position, _) in earlier.checkpoints.kept.items()
    }


def test_without_redis_the_end_is_not_covered(left: Left) -> None:
    left.view._shards, left.checkpoints.kept = {}, {}

    report = verify(left.installation())

    assert report.outcome is Outcome.UNDECIDED
    assert {(p.check, why) for p in report.proofs for why in p.not_covered} == {
        (Check.OBSERVATIONS, "no view in Redis: whether observations are missing at the end"),
        (Check.ALERTS, "no checkpoint in Redis: whether alerts are missing at the end"),
        (Check.CHECKPOINT, "no checkpoint in Redis"),
        (Check.VIEW, "no view in Redis"),
    }


def test_an_observation_that_is_gone_is_named(left: Left) -> None:
    source = left.busy(left.topics.observations)

    rewrite(left.broker, source, lambda records: records[:3] + records[4:])

    found = list(different(left))
    ((_, missing),) = [(at, text) for check, at, text in found if check is Check.OBSERVATIONS]
    ((at, gap),) = [(at, text) for check, at, text in found if check is Check.ALERTS]
    assert missing.endswith(f"is missing in {source.topic}-{source.partition}")
    assert at == f"{source.topic}-{source.partition}@3"
    assert gap.startswith("outputs of shard ")


def test_an_observation_that_is_there_twice_under_another_number_is_named(left: Left) -> None:
    source = left.busy(left.topics.observations)

    def repeated(records: list[Record]) -> Sequence[Record]:
        chain = decode(records[3]).chain
        assert chain is not None
        return [*records[:4], rechained(records[3], chain.seq + 1, chain.seq), *records[4:]]

    rewrite(left.broker, source, repeated)

    assert (Check.OBSERVATIONS, f"{source.topic}-{source.partition}@4", "follows from no record of the halves") in list(
        different(left)
    )


def test_a_value_that_was_changed_is_named_by_its_column_and_row(left: Left) -> None:
    source = left.busy(left.topics.observations)

    def changed(records: list[Record]) -> Sequence[Record]:
        place = next(n for n, record in enumerate(records) if decode(record).kind is BlockKind.SERVED)
        batch = decode(records[place]).batch
        assert batch is not None
        amounts = batch.column("f:amount").to_pylist()
        return [
            *records[:place],
            with_column(records[place], "f:amount", pa.array([*amounts[:7], 1.0, *amounts[8:]])),
            *records[place + 1 :],
        ]

    rewrite(left.broker, source, changed)

    (text,) = [text for check, _, text in different(left) if check is Check.OBSERVATIONS]
    assert text.startswith("column f:amount of row 7 is 1.0, not ")


def alerts_of(left: Left) -> TopicPartition:
    return left.broker.records(left.topics.alerts)[0].source


def test_an_alert_that_is_gone_is_named_by_the_observation_that_it_follows_from(left: Left) -> None:
    source = alerts_of(left)
    identity = msgspec.json.decode(left.broker.records(*source)[0].value or b"")["id"]

    rewrite(left.broker, source, lambda records: records[1:])

    (found,) = different(left)
    assert found[0] is Check.ALERTS
    assert found[1].startswith("driftline.observations-")
    assert identity in found[2]
    assert found[2].endswith(f"is missing in alerts-{source.partition}")


def test_an_alert_that_says_otherwise_is_named_by_the_field(left: Left) -> None:
    source = alerts_of(left)

    def changed(records: list[Record]) -> Sequence[Record]:
        event = msgspec.json.decode(records[-1].value or b"")
        event["data"]["armed_segments"] = 0.5
        return [*records[:-1], msgspec.structs.replace(records[-1], value=msgspec.json.encode(event))]

    rewrite(left.broker, source, changed)

    ((check, at, text),) = different(left)
    assert (check, at) == (Check.ALERTS, f"alerts-{source.partition}@{left.broker.log(source).high - 1}")
    assert "data.armed_segments is 0.5, not " in text


def test_an_alert_that_nothing_led_to_is_named(left: Left) -> None:
    source = alerts_of(left)
    event = msgspec.json.decode(left.broker.records(*source)[-1].value or b"")
    forged = left.broker.append(
        Outgoing(source.topic, msgspec.json.encode({**event, "id": "f" * 32}), partition=source.partition)
    )

    assert list(different(left)) == [
        (Check.ALERTS, f"alerts-{source.partition}@{forged.offset}", f"{'f' * 32} of loan follows from no observation")
    ]


def test_a_checkpoint_of_another_history_is_named_by_what_is_in_it(left: Left) -> None:
    partition = left.busy(left.topics.observations).partition
    stray, right = (kept(one.checkpoints, partition) for one in (lefts()[1], left))
    assert stray is not None
    assert right is not None
    put(left.checkpoints, partition, right._replace(state=stray.state))

    found = list(different(left))

    assert {check for check, _, _ in found} == {Check.CHECKPOINT}
    assert f"loan v1: state of {ROWS + LATER_ROWS:,} rows, not that of {ROWS:,} rows" in [text for _, _, text in found]


def test_an_entry_that_was_changed_removed_or_added_is_named(left: Left) -> None:
    shard = left.busy(left.topics.halves).partition
    snapshot = left.view.load(shard)
    changed, removed, *_ = next(left.view.scan(shard))
    kept = left.view._shards[shard].current
    kept[changed] = kept[changed][:-1] + b"\xff"
    kept[b"x" * 16] = kept.pop(removed)

    at = f"view {shard} at {snapshot.position}"
    assert sorted(different(left)) == sorted(
        [
            (Check.VIEW, at, f"the entry of {changed.hex()} says otherwise"),
            (Check.VIEW, at, f"the entry of {removed.hex()} is missing"),
            (Check.VIEW, at, f"the entry of {(b'x' * 16).hex()} is not due"),
        ]
    )


def test_counters_that_were_changed_are_named(left: Left) -> None:
    shard = left.busy(left.topics.halves).partition
    kept = left.view._shards[shard]
    meta = Meta.unpack(kept.meta)
    meta.count("loan").served += 1
    kept.meta = meta.pack()

    assert list(different(left)) == [
        (Check.VIEW, f"view {shard} at {kept.position}", "log time, chain or counters are others")
    ]


class MovingView(MemoryView):
    """A view that stands elsewhere at every other look, until it is where a later one is."""

    def __init__(self, now: MemoryView, later: MemoryView, shard: int) -> None:
        super().__init__()
        self._shards = now._shards
        self._later, self._looks, self._moves = later, 0, shard

    def load(self, shard: int) -> Snapshot:
        self._looks += shard == self._moves
        if self._looks == 3:  # once for where the shard is compared up to, once for the first look at it
            self._shards = self._later._shards
        return super().load(shard)


def test_a_view_that_goes_on_is_followed() -> None:
    earlier, left = (found.copy() for found in lefts())
    source = left.busy(left.topics.halves)
    end = left.broker.log(source).high
    left.view = MovingView(earlier.view, left.view, source.partition)

    (proof,) = [p for p in proofs(left, Check.VIEW) if p.log == f"{source.topic}-{source.partition}"]

    assert (proof.is_decided, proof.different, proof.end) == (True, 0, end)
    assert proof.counts == {"live entries": ROWS + LATER_ROWS}


def test_alerts_of_another_release_are_not_compared(left: Left) -> None:
    report = verify(left.installation(code_version="another"))

    assert report.outcome is Outcome.CLEAN
    assert any(
        why.startswith("alerts of release test: this is another")
        for proof in report.proofs
        for why in proof.not_covered
    )


def test_where_the_observations_have_lost_their_beginning_the_proof_begins_at_the_checkpoint() -> None:
    earlier, left = (found.copy() for found in lefts())
    source = left.busy(left.topics.observations)
    position, _ = left.checkpoints.kept[source.partition] = earlier.checkpoints.kept[source.partition]
    left.broker.delete_records(source, 3)

    (proof,) = [p for p in proofs(left, Check.ALERTS) if p.log == f"{source.topic}-{source.partition}"]

    assert list(different(left)) == []
    assert (proof.start, proof.end) == (position, left.broker.log(source).high)
    assert proof.not_covered == [
        f"offsets 0..{position}: the log has lost its beginning, so the checkpoint there is believed"
    ]


def test_without_beginning_and_checkpoint_nothing_of_a_partition_is_decided(left: Left) -> None:
    source = left.busy(left.topics.observations)
    left.broker.delete_records(source, 3)
    del left.checkpoints.kept[source.partition]

    assert verify(left.installation()).outcome is Outcome.UNDECIDED


def test_halves_that_have_lost_their_beginning_are_proved_after_a_horizon() -> None:
    left = Left.of(written(Pipeline(monitored(loan={"label_horizon": "1h"})), 2_000))
    source = left.busy(left.topics.halves)
    left.broker.delete_records(source, 2)

    (proof,) = [p for p in proofs(left, Check.OBSERVATIONS) if p.log == f"{source.topic}-{source.partition}"]

    assert list(different(left)) == []
    assert 2 < proof.start < proof.end == left.broker.log(source).high
    assert proof.counts["outputs"] > 0
    assert proof.not_covered == [f"the first label horizon of what is kept, offsets 2..{proof.start}"]


def test_halves_of_less_than_a_horizon_prove_nothing(left: Left) -> None:
    left.broker.delete_records(left.busy(left.topics.halves), 6)

    assert verify(left.installation()).outcome is Outcome.UNDECIDED

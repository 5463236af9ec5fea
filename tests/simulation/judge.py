"""Compares what a run left behind with a fold of the same logs in one thread, from their beginning to their end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from services.cli.backtest.run import Published
from services.detector.checkpoints import Checkpoint
from services.detector.logged_checkpoints import LoggedCheckpoints
from services.detector.partition import PartitionFold
from services.detector.report import NoSink
from services.joiner.entry import Entry, unpack
from services.joiner.fold import Emission, Fold
from services.joiner.meta import Meta
from services.joiner.shapes import Shapes
from services.joiner.words import Words
from shared.events.block import Block, BlockKind
from shared.events.dead_letter import DeadLetter
from shared.log import Outgoing, Record
from tests.kit.keeping import kept
from tests.simulation.installation import KEY, TOPICS, Parts, fold_options, in_place, published
from tests.simulation.light_watch import LightWatch
from tests.simulation.naive import joined, leaps, rows_of
from tests.simulation.run import Run


class State(NamedTuple):
    """A shard after everything below a position."""

    meta: bytes
    words: bytes
    entries: dict[bytes, bytes]


class Folded(NamedTuple):
    """A shard's whole log folded: the state at each position, and the outputs."""

    halves: list[tuple[int, Block]]  # with the log's time
    states: list[State]
    emissions: list[Emission]


def failures(run: Run) -> Iterator[str]:
    """Yield what is not as it must be; nothing of a run that is right."""
    yield from _every_event_is_somewhere(run)
    folded = [_folded(run, shard) for shard in range(TOPICS.halves_partitions)]
    for shard, fold in enumerate(folded):
        if rows_of(emission.block for emission in fold.emissions) != joined(fold.halves):
            yield f"the fold of shard {shard} does not join each request once"
    yield from _views_are_folds(run, folded)
    yield from _copies_are_few(run)
    yield from _leaps_are_confirmed(run, folded)
    if run.story.truncates:
        yield from _detectors_saw_each_output_once(run, folded)
    else:
        yield from _outputs_are_accepted_once(run, folded)
        yield from _detectors_are_folds(run)


def _every_event_is_somewhere(run: Run) -> Iterator[str]:
    """Every record of the inputs is in the halves or in the dead letters."""
    written = {
        (record.topic, record.partition, record.offset)
        for topic in (TOPICS.predictions, TOPICS.ground_truth)
        for record in run.broker.records(topic)
    }
    halves = [run.decode(record) for record in run.broker.records(TOPICS.halves)]
    found = {
        (row["src_topic"], row["src_partition"], row["src_offset"])
        for block in halves
        if block.batch is not None and block.kind is not BlockKind.ERASURE
        for row in block.batch.select(["src_topic", "src_partition", "src_offset"]).to_pylist()
    }
    letters = [
        msgspec.json.decode(record.value or b"", type=DeadLetter) for record in run.broker.records(TOPICS.dead_letters)
    ]
    refused = {(letter.topic, letter.partition, letter.offset) for letter in letters}
    run.counts["dead letters"] += len(refused)
    if written != found | refused:
        yield f"events that are nowhere: {sorted(written - found - refused)}, never written: {sorted(found - written)}"


def _folded(run: Run, shard: int) -> Folded:
    meta, shapes = Meta.fresh(TOPICS.observations_partitions), Shapes(Words())
    states, emissions, halves = [State(b"", b"", {})], [], []
    for record in run.broker.records(TOPICS.halves, shard):
        block = run.decode(record)
        halves.append((record.timestamp_ms, block))
        before = states[-1]
        fold = Fold(shard, KEY, meta, shapes, before.entries)
        emissions += fold.fold(record, block)
        change = fold.change()
        words = before.words if change.words is None else change.words
        states.append(State(change.meta, words, {**before.entries, **change.entries}))
    return Folded(halves, states, emissions)


def _views_are_folds(run: Run, folded: list[Folded]) -> Iterator[str]:
    """Every state that the view ever had is the fold of the log up to its position, and the last one of all of it."""
    for shard, change in run.changes:
        state = folded[shard].states[change.position]
        if (change.meta, change.words or state.words) != (state.meta, state.words):
            yield f"the view of shard {shard} at {change.position} is not the fold up to there"
        if any(state.entries[identity] != entry for identity, entry in change.entries.items()):
            yield f"the view of shard {shard} at {change.position} has other entries than the fold up to there"
    for shard, fold in enumerate(folded):
        kept, state = run.redis.content.view.load(shard), fold.states[-1]
        if (kept.position or 0, kept.meta, kept.words) != (len(fold.halves), state.meta, state.words):
            yield f"the view of shard {shard} at {kept.position} is not the fold of all {len(fold.halves)} halves"
        live = _live(state)
        if any(run.redis.content.view.find(shard, identity) != entry for identity, entry in live.items()):
            yield f"the view of shard {shard} has lost entries that have not expired"


def _live(state: State) -> dict[bytes, bytes]:
    if not state.meta:
        return {}
    now, shapes = Meta.unpack(state.meta).log_time, Shapes(Words.unpack(state.words))
    entries: dict[bytes, Entry] = {identity: unpack(entry, shapes) for identity, entry in state.entries.items()}
    return {identity: state.entries[identity] for identity, entry in entries.items() if entry.expiry >= now}


def _leaps_are_confirmed(run: Run, folded: list[Folded]) -> Iterator[str]:
    """No view ever stood behind a record in which log time leaps, unless that time was confirmed."""
    found = [leaps(fold.halves) for fold in folded]
    for (shard, change), confirmed in zip(run.changes, run.confirmed, strict=True):
        taken = [time for offset, time in found[shard] if offset < change.position]
        if confirmed is not None and any(time > confirmed for time in taken):
            yield f"the view of shard {shard} went to {change.position}, past a leap that nobody had confirmed"


def _copies_are_few(run: Run) -> Iterator[str]:
    """No output was written more often than a joiner began at or below its record: Redis' losses cost no more."""
    run.counts["outputs written"] += run.copies.written
    run.counts["outputs written again"] += run.copies.again
    run.counts["outputs not written again"] += run.copies.spared
    for shard, seq, times in run.copies.too_many():
        yield f"output {seq} of shard {shard} was written {times} times"


def _outputs_are_accepted_once(run: Run, folded: list[Folded]) -> Iterator[str]:
    """The first copies of each shard's outputs are those of the fold, in order, byte for byte."""
    for partition in range(TOPICS.observations_partitions):
        records = run.records(TOPICS.observations, partition)
        for shard, fold in enumerate(folded):
            last, accepted = -1, []
            for record in records:
                headers = dict(record.headers)
                if int(headers["shard"]) == shard and int(headers["seq"]) > last:
                    last = int(headers["seq"])
                    accepted.append((record.value, record.headers))
            told = [emission.outgoing("") for emission in fold.emissions if emission.partition == partition]
            run.counts["duplicates dropped"] += sum(int(dict(r.headers)["shard"]) == shard for r in records) - len(told)
            if accepted != [(message.value, message.headers) for message in told]:
                yield f"what a receiver of observations-{partition} takes of shard {shard} is not what the fold gives"


def _detectors_are_folds(run: Run) -> Iterator[str]:
    """Checkpoints and alerts are those of the unchanged fold."""
    wanted: list[Outgoing] = []
    for partition in range(TOPICS.observations_partitions):
        records = run.records(TOPICS.observations, partition)
        fold, messages = _detected(run, partition, records)
        wanted += [message for message in messages if message.topic == TOPICS.alerts]
        whole = len(records), fold.snapshot()
        if records and _stated(kept(run.redis.content.checkpoints, partition)) != whole:
            yield f"the detector's state of observations-{partition} is not the fold of it"
        if records and _stated(_logged_checkpoint(run, partition)) != whole:
            yield f"the checkpoint of observations-{partition} in the log is not the fold of it"
    written = run.broker.records(TOPICS.alerts)
    run.counts["alerts"] += len(wanted)
    if _told(written) != _told(wanted):
        yield "the alerts are not those that the fold gives, each once and in order"


def _logged_checkpoint(run: Run, partition: int) -> Checkpoint | None:
    return kept(LoggedCheckpoints(run.broker.reader, run.broker.writer(), TOPICS.checkpoints, "main"), partition)


def _stated(checkpoint: Checkpoint | None) -> tuple[int, bytes] | None:
    return None if checkpoint is None else checkpoint[:2]


def _told(alerts: Iterable[Record | Outgoing]) -> dict[bytes | None, list[bytes | None]]:
    """Return what a subscriber hears of each model."""
    heard: dict[bytes | None, list[bytes | None]] = {}
    for alert in alerts:
        heard.setdefault(alert.key, []).append(alert.value)
    return heard


def _detectors_saw_each_output_once(run: Run, folded: list[Folded]) -> Iterator[str]:
    """Where the log has lost records, nobody knows the order between shards any more; within each it is the fold's."""
    for partition in range(TOPICS.observations_partitions):
        emissions = [emission for fold in folded for emission in fold.emissions if emission.partition == partition]
        wanted, _ = _detected(run, partition, _logged(partition, emissions))
        seen, _ = _detected(run, partition, (), kept(run.redis.content.checkpoints, partition))
        if (seen.last, _by_shard(seen)) != (wanted.last, _by_shard(wanted)):
            yield f"the detector of observations-{partition} has missed or doubled outputs"


def _detected(
    run: Run, partition: int, records: Iterable[Record], checkpoint: Checkpoint | None = None
) -> tuple[PartitionFold, list[Outgoing]]:
    """Return the product's own fold after a checkpoint and these records, and what it gave for them."""
    with in_place(Parts(), run.decode, real_watch=run.story.real_watch):
        fold = PartitionFold(partition, Published(published()), fold_options(), NoSink())
        if checkpoint is not None:
            fold.restore(checkpoint.state)
        return fold, [message for record in records for message in fold.fold(record)]


def _logged(partition: int, emissions: Iterable[Emission]) -> Iterator[Record]:
    for offset, emission in enumerate(emissions):
        message = emission.outgoing(TOPICS.observations)
        yield Record(TOPICS.observations, partition, offset, emission.log_time, None, message.value, message.headers)


def _by_shard(fold: PartitionFold) -> dict[tuple[str, str], dict[str, bytes]]:
    return {key: watch.state.by_shard for key, watch in fold.watches.items() if isinstance(watch, LightWatch)}

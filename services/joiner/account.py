"""What a joiner shows of itself: what its shards have counted, how full they are, what this process did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from services.joiner.meta import MAX_WAITING_LABELS, Counters, Meta
from services.joiner.words import NAMESPACE_CAP, TOTAL_CAP, Words
from shared.flow import Flow, positions
from shared.log import TopicPartition
from shared.measures import LOG_LABELS, Labels, Measure, bounded, number, of_logs
from shared.monitors import MAX_MODELS

OVER_CAP, ERASURES = "classes_over_cap", "erasures"  # of `Counters`, what is no fate of predictions and labels
FATES = tuple(name for name in Counters.__struct_fields__ if name not in (OVER_CAP, ERASURES))


@dataclass(slots=True)
class Stored:
    """A shard as this process saw it stored last; it stays while the shard is loaded anew."""

    position: int
    meta: Meta
    words: Words


class Rebuild(NamedTuple):
    """A shard whose outputs are acknowledged below `end`, while its view is folded anew: offsets of its log."""

    first: int
    position: int  # the next one to fold
    end: int


@dataclass(slots=True)
class Account:
    """Kept by the stage, once a batch."""

    flow: Flow = field(default_factory=Flow)
    restarts: int = 0  # batches thrown away because the view was elsewhere
    rotations: int = 0
    quiet: int = 0  # outputs that a rebuild found acknowledged
    rebuilt: int = 0  # shards that were dropped because entries were missing
    stored: dict[TopicPartition, Stored] = field(default_factory=dict)
    rebuilds: dict[TopicPartition, Rebuild] = field(default_factory=dict)  # those that last

    def rebuild(self, source: TopicPartition, rebuild: Rebuild) -> None:
        """Take note how far a shard's rebuild is."""
        if rebuild.position < rebuild.end:
            self.rebuilds[source] = rebuild
        else:
            self.rebuilds.pop(source, None)

    def rebuilding(self) -> str:
        """Return in words how far the rebuilds are that last; empty where none does."""
        if not self.rebuilds:
            return ""
        done = sum(rebuild.position - rebuild.first for rebuild in self.rebuilds.values())
        of = sum(rebuild.end - rebuild.first for rebuild in self.rebuilds.values())
        shards = "1 shard" if len(self.rebuilds) == 1 else f"{len(self.rebuilds)} shards"
        return f"the view is rebuilt from its log: {done:,} of {of:,} records of {shards}"

    def keep(self, sources: Set[TopicPartition]) -> None:
        """Show nothing of shards that others have now."""
        self.stored = {source: shard for source, shard in self.stored.items() if source in sources}
        self.rebuilds = {source: rebuild for source, rebuild in self.rebuilds.items() if source in sources}

    def measures(self, lag: Mapping[TopicPartition, int]) -> Iterator[Measure]:
        """Yield everything; counters of fates are the view's own, and go on where an earlier process left them."""
        yield from self.flow.records()
        yield number("rows_in_total", "Rows folded, repeated ones included.", self.flow.rows_in)
        yield from self.flow.blocks()
        yield from positions({source: shard.position for source, shard in self.stored.items()}, lag)
        yield from self._models()
        yield from self._fates()
        yield number("joiner_restarts_total", "Batches thrown away because the view was elsewhere.", self.restarts)
        yield number("joiner_rebuilt_total", "Shards rebuilt because the view had lost entries.", self.rebuilt)
        yield number("joiner_quiet_outputs_total", "Outputs not written again while a view was rebuilt.", self.quiet)
        yield of_logs(
            "joiner_rebuild_records",
            "Records whose outputs are acknowledged and which a rebuild folds, while it lasts.",
            {source: rebuild.end - rebuild.first for source, rebuild in self.rebuilds.items()},
        )
        yield of_logs(
            "joiner_rebuild_records_done",
            "Those of them that are folded.",
            {source: rebuild.position - rebuild.first for source, rebuild in self.rebuilds.items()},
        )
        yield number("joiner_rotations_total", "Generations of entries that were dropped.", self.rotations)
        yield of_logs(
            "log_timestamp_seconds",
            "Log time, by which entries expire and heartbeats are due.",
            {source: shard.meta.log_time / 1000 for source, shard in self.stored.items()},
        )
        yield from bounded(
            "joiner_waiting_labels",
            "Labels of a shard's current generation whose prediction has not come; past the limit they are dropped.",
            {_labels(source): shard.meta.waiting for source, shard in self.stored.items()},
            MAX_WAITING_LABELS,
            LOG_LABELS,
        )
        yield from bounded(
            "joiner_words",
            "Texts that a shard has interned; beyond the limit they are `__other__`.",
            {_labels(source): len(shard.words) for source, shard in self.stored.items()},
            TOTAL_CAP,
            LOG_LABELS,
        )
        yield from bounded(
            "joiner_fullest_namespace_words",
            "Texts in a shard's fullest namespace: classes, shapes or segment values of a model.",
            {_labels(source): shard.words.fullest for source, shard in self.stored.items()},
            NAMESPACE_CAP,
            LOG_LABELS,
        )

    def _models(self) -> Iterator[Measure]:
        counted = {_labels(source): len(shard.meta.counters) for source, shard in self.stored.items()}
        text = "Models whose rows a shard counts on their own; beyond the limit they count as one."
        yield from bounded("joiner_models", text, counted, MAX_MODELS, LOG_LABELS)

    def _fates(self) -> Iterator[Measure]:
        fates: Counter[Labels] = Counter()
        over_cap: Counter[Labels] = Counter()
        erasures: Counter[Labels] = Counter()
        for shard in self.stored.values():
            for model, counters in shard.meta.counters.items():
                counted = msgspec.structs.asdict(counters)
                over_cap[model,] += counted.pop(OVER_CAP)
                erasures[model,] += counted.pop(ERASURES)
                for fate, times in counted.items():
                    fates[model, fate] += times
        yield Measure(
            "joiner_rows_total",
            "Rows by model and by what became of them, since the view was begun.",
            dict(fates),
            ("model", "fate"),
        )
        yield Measure("joiner_erasures_total", "Requests that were to be forgotten.", dict(erasures), ("model",))
        yield Measure(
            "joiner_classes_over_cap_total",
            "Rows whose class is kept as `__other__`: the model has had too many classes.",
            dict(over_cap),
            ("model",),
        )


def _labels(source: TopicPartition) -> Labels:
    return (source.topic, str(source.partition))

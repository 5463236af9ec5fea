"""The watchdogs of all models of a partition, and the time that they go by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from services.detector.outputs import Outputs
from services.detector.warming import WarmingWatch
from services.detector.watch import Watch
from services.detector.watchdogs.arrivals import Arrivals
from services.detector.watchdogs.model import NO_PREDICTIONS, ModelState, ModelWatchdog, Now, place_of
from shared.durations import UNITS_MS
from shared.events.alert import NotWatched, Unwatched
from shared.events.block import SRC_OFFSET, SRC_PARTITION, SRC_TOPIC, Block, BlockKind, Chain
from shared.events.halt import Halt
from shared.events.news import News
from shared.log import Outgoing
from shared.monitors import MAX_MODELS
from shared.values import format_ts
from shared.watchdog import WatchdogSpec

# Ticks come every few seconds where nothing else does. What lies between records farther apart, nobody has witnessed.
WITNESSED_MS = UNITS_MS["m"]
LOOK_MS = UNITS_MS["m"]  # log time between two looks
GAP_LISTED_MS = UNITS_MS["d"]  # for so long heartbeats say that nothing was witnessed

Watches = Mapping[tuple[str, str], Watch | WarmingWatch]  # by model and version, the newest version last


class WatchdogState(msgspec.Struct):
    """What is kept of a partition."""

    log_time: int = 0
    witnessed: int = 0
    looked: int = 0  # witnessed time of the last look
    is_whole: bool = True  # all time since that look was witnessed
    gap: tuple[int, int] | None = None  # log times between which nobody witnessed anything, the last time
    halts: dict[str, Halt] = {}  # by `topic/partition`: inputs that are not read
    models: dict[str, ModelState] = {}


class Watchdogs:
    """Told of every record of a partition, after the watches."""

    def __init__(self, outputs: Outputs, code_version: str, *, of_silence: bool) -> None:
        self.state = WatchdogState()
        self._outputs, self._code_version, self._of_silence = outputs, code_version, of_silence

    def open_incidents(self, model: str) -> list[str]:
        """Return the ids of a model's open incidents."""
        state = self.state.models.get(model)
        return [] if state is None else [incident.incident_id for incident in state.incidents.open.values()]

    @property
    def amiss(self) -> int:
        """Return how many incidents are open."""
        return sum(len(model.incidents.open) for model in self.state.models.values())

    def not_watched(self, model: str, limits: WatchdogSpec) -> Iterator[NotWatched]:
        """Yield what does not come, and what is not told if it does not."""
        state, gap = self.state.models.get(model), self.state.gap
        if state is None:
            yield NotWatched(kind=Unwatched.PREDICTIONS, what=model, why=f"there are watchdogs for {MAX_MODELS} models")
        else:
            yield from state.not_watched(limits, self.state.log_time)
        for named, halt in self.state.halts.items():
            yield NotWatched(kind=Unwatched.INPUT, what=named, why=str(halt))
        if gap is not None and self.state.log_time - gap[1] < GAP_LISTED_MS:
            since, until = map(format_ts, gap)
            why = f"no record came from {since} to {until}: what happened then was not watched as it happened"
            yield NotWatched(kind=Unwatched.TIME, what="log time", why=why)

    def fold(self, block: Block, chain: Chain, log_time: int, watches: Watches) -> Iterator[Outgoing]:
        """Take one record at its log time; yield what is told of its model, and of all if a look is due."""
        is_due = self._go_to(log_time)
        now = Now(log_time, self.state.witnessed, chain)
        if block.halt is not None:
            yield from self._halted(block.halt, watches, now)
        if block.news is not None:
            yield from self._heard(block.news, watches, now)
        if block.kind is not BlockKind.TICK:
            yield from self._read_again(block, watches, now)
            yield from self._take(block, watches[block.model, block.model_version], now)
        if is_due:
            for model, watch in _newest(watches).items():
                yield from self._look(model, watch, watches, now)

    def _go_to(self, log_time: int) -> bool:
        """Let time pass; return whether a look is due."""
        state = self.state
        before, state.log_time = state.log_time, max(log_time, state.log_time)
        passed = state.log_time - before
        if passed <= WITNESSED_MS:
            state.witnessed += passed
        else:
            state.is_whole = False
            state.gap = (before, state.log_time) if before else None
        if state.witnessed - state.looked < LOOK_MS and state.is_whole:
            return False
        for model in state.models.values():
            model.predictions.go_to(state.log_time, is_witnessed=state.is_whole)
            model.labels.go_to(state.log_time, is_witnessed=state.is_whole)
            if NO_PREDICTIONS in model.incidents.open:
                model.labels.hold(state.witnessed - state.looked)
        state.looked, state.is_whole = state.witnessed, True
        return True

    def _halted(self, halt: Halt, watches: Watches, now: Now) -> Iterator[Outgoing]:
        """Take that an input is not read, or is again; every model may have rows in it."""
        named = f"{halt.topic}/{halt.partition}"
        if halt.is_over:
            self.state.halts.pop(named, None)
        else:
            self.state.halts[named] = halt
        for model, watch in _newest(watches).items():
            if model in self.state.models:
                watchdog = self._of(self.state.models[model], watch)
                yield from watchdog.look_at_input(named, self.state.halts.get(named), now)

    def _heard(self, news: News, watches: Watches, now: Now) -> Iterator[Outgoing]:
        """Take what a consumer tells of a model; what is of another partition's says nothing here."""
        if news.model in self.state.models:
            yield from self._of(self.state.models[news.model], _newest(watches)[news.model]).hear(news, now)

    def _read_again(self, block: Block, watches: Watches, now: Now) -> Iterator[Outgoing]:
        """End the halts of inputs of which a row came that lies behind them."""
        if not self.state.halts or block.batch is None:
            return
        topics, partitions, offsets = (block.batch.column(name) for name in (SRC_TOPIC, SRC_PARTITION, SRC_OFFSET))
        for halt in [*self.state.halts.values()]:
            is_behind = pc.and_(
                pc.and_(pc.equal(topics.cast(pa.utf8()), halt.topic), pc.equal(partitions, halt.partition)),
                pc.greater_equal(offsets, halt.offset),
            )
            if pc.any(is_behind).as_py():
                yield from self._halted(msgspec.structs.replace(halt, is_over=True), watches, now)

    def _take(self, block: Block, watch: Watch | WarmingWatch, now: Now) -> list[Outgoing]:
        state = self.state.models.get(block.model)
        if state is None:
            has_room = len(self.state.models) < MAX_MODELS
            if not has_room or block.kind is not BlockKind.SERVED or block.batch is None or not block.rows:
                return []
            state = self.state.models[block.model] = ModelState(
                predictions=Arrivals.beginning(now.log_time, now.witnessed),
                labels=Arrivals.beginning(now.log_time, now.witnessed),
                newest=place_of(block.batch, 0),
            )
        return self._of(state, watch).take(block, now)

    def _look(self, model: str, newest: Watch | WarmingWatch, watches: Watches, now: Now) -> Iterator[Outgoing]:
        state = self.state.models.get(model)
        if state is None:
            return
        watchdog = self._of(state, newest)
        if self._of_silence:
            yield from watchdog.look_for_silence(now)
            yield from watchdog.look_for_labels(now)
        yield from watchdog.look_for_unknown(now)
        versions = (watch for (name, _), watch in watches.items() if name == model)
        yield from watchdog.look_at_faults(
            {name: why for watch in versions for name, why in watch.faulted.items()}, now
        )

    def _of(self, state: ModelState, watch: Watch | WarmingWatch) -> ModelWatchdog:
        return ModelWatchdog(state, watch, self._outputs, self._code_version)


def _newest(watches: Watches) -> dict[str, Watch | WarmingWatch]:
    return {model: watch for (model, _), watch in watches.items()}

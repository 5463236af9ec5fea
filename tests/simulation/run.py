"""The run of a story: turns in which one process goes on, then the healing, until nothing is left to do."""

from __future__ import annotations

import re
from collections import Counter, deque
from random import Random

from services.detector.checkpoints import Candidate
from services.detector.logged_checkpoints import LoggedCheckpoints
from services.joiner.view import Change, Snapshot
from shared.adapters.memory import MemoryBroker
from shared.durations import UNITS_MS
from shared.errors import Corrupt, LogIdentity
from shared.log import Outgoing, Record, TopicPartition
from shared.values import parse_ts
from tests.simulation.copies import Copies
from tests.simulation.crew import Crew
from tests.simulation.installation import TOPICS, Installation, Parts, decode_once, event, in_place
from tests.simulation.redis import Redis
from tests.simulation.scheduler import Process
from tests.simulation.story import HORIZON_MS, TURNS, Event, Fault, FaultKind, Story

START_MS = 1_750_000_000_000
# In which nobody had anything to do, before all is quiet: a joiner that takes shards up reads the record before each of
# their positions first, one a step at the least, and calls that nothing.
QUIET_ROUNDS = 2 + TOPICS.halves_partitions
MOST_ROUNDS = 300
ROUND_SECONDS = 0.05  # so that no row lingers when all is quiet
RESTART_SECONDS = 1.0
TICK_SECONDS = 6.0  # long enough for a tick in every partition
LEAST_LEAP_MS = 8 * UNITS_MS["d"]
SHARING = ("joiner", "detector")  # services that share partitions out
_COUNTED = {FaultKind.LOST_ACK: "lost acknowledgements", FaultKind.LOST_REPLY: "lost replies"}


class NoProgressError(Exception):
    """The services never came to rest."""


class RunClock:
    """The broker's time, which may jump, and the time of processes, which does not."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.jumped_ms = 0

    def now_ms(self) -> int:
        return START_MS + round(self.seconds * 1000) + self.jumped_ms

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Run:
    """Everything that is there while a story is told; `redis`, `broker` and the rest are what is judged after it."""

    def __init__(self, story: Story, parts: Parts | None = None) -> None:
        self.story = story
        self.parts = parts or Parts()
        self.dice = Random(f"schedule {story.seed}")
        self.clock = RunClock()
        self.broker = MemoryBroker(self.clock)
        self.redis = Redis()
        self.is_redis_away = False
        self.confirmed_ms: int | None = 0 if story.leaps else None
        self.decode = decode_once()
        self.counts: Counter[str] = Counter()
        self.changes: list[tuple[int, Change]] = []  # every compare-and-set that was made, by shard
        self.confirmed: list[int | None] = []  # `confirmed_ms` at each of these
        self.copies = Copies()
        self.told: list[str] = []  # what happened, for people
        self.trimmed: dict[TopicPartition, list[Record]] = {}  # what logs have lost of their beginning
        self._installation = Installation(self, self.broker, self.clock, self.parts, shares_out=story.shares_out)
        self._crew = Crew(Installation.services, self._installation.build, self._repair, self, self.dice)
        self._turn = 0
        self._unwritten: deque[Event] = deque()  # due, while there is no log to write to
        self._armed: Counter[FaultKind] = Counter()  # faults that wait for the next access
        self._redis_back = self._kafka_back = 0  # turns
        self._rebuilding: dict[int, int] = {}  # shards whose view was deleted, and the position that it will have again

    def to_its_end(self) -> Run:
        """Tell the story; return the run.

        Raises:
            NoProgressError: the services do not come to rest.
        """
        with in_place(self.parts, self.decode, real_watch=self.story.real_watch):
            try:
                for service in self._crew.services:
                    self._crew.start(service)
                for turn in range(TURNS):
                    self._happen(turn)
                    self._take_turn()
                self._heal()
                self._settle()
                self._leave_shares()
                stops = -1
                while stops != self.counts["stops"]:  # what people have repaired shows at the next tick
                    stops = self.counts["stops"]
                    self.clock.seconds += TICK_SECONDS
                    self._settle()
                self._stop()
                self.counts["alerts repeated"] = sum(alerts.repeated for alerts in self._installation.alerts)
            finally:
                self._crew.kill_all()
        return self

    def pause(self, at: str) -> None:
        """Let other processes run before the current one does what `at` names."""
        if self._crew.current is not None:
            self._crew.current.pause(at)

    def strikes(self, kind: FaultKind) -> bool:
        """Return whether a fault that was waiting for an access hits this one."""
        if not self._armed[kind]:
            return False
        self._armed[kind] -= 1
        self.tell(kind.value, _COUNTED[kind])
        return True

    def records(self, topic: str, partition: int) -> list[Record]:
        """Return everything that was ever kept of a log."""
        return [*self.trimmed.get(TopicPartition(topic, partition), []), *self.broker.records(topic, partition)]

    def advanced(self, shard: int, change: Change, *, done: bool) -> None:
        """Take note of a compare-and-set."""
        if done:
            self.changes.append((shard, change))
            self.confirmed.append(self.confirmed_ms)
            self.counts["rotations"] += change.rotate
        else:
            self.counts["compare-and-set failures"] += 1

    def arrived(self, record: Record) -> None:
        """Take note of a record that a service wrote."""
        if record.topic == TOPICS.observations:
            self.copies.write(record)

    def loaded(self, shard: int, snapshot: Snapshot) -> None:
        """Take note that a joiner goes on with a shard from what it has found of it."""
        told = self.broker.reader().told(TopicPartition(TOPICS.halves, shard))
        self.copies.take_up(shard, snapshot, 0 if told is None else told.offset)

    def tell(self, text: str, counted: str = "") -> None:
        """Take note of something that happens, and count it under a name."""
        who = "" if self._crew.current is None else f"{self._crew.current.name} "
        self.told.append(f"turn {self._turn:>3}  {who}{text}")
        if counted:
            self.counts[counted] += 1

    def _happen(self, turn: int) -> None:
        """Let everything of the story happen that is due."""
        self._turn = turn
        if turn >= self._redis_back and self.is_redis_away:
            self.is_redis_away = False
            self.tell("Redis is back")
        if turn >= self._kafka_back and self.broker.away:
            self.broker.away = False
            self.tell("Kafka is back")
        self._unwritten += [due for due in self.story.events if due.turn == turn]
        self._write()
        for fault in self.story.faults:
            if fault.turn == turn:
                self._strike(fault)
        self._crew.start_due(turn)

    def _take_turn(self) -> None:
        """Let one process go on, and perhaps a record arrive that is under way."""
        self.clock.seconds += 0.2 * self.dice.random()
        if self.dice.random() < 0.3 and not self.broker.away:
            self._crew.drift()
        awake = [process for process in self._crew.processes if process.frozen_until <= self._turn]
        if awake:
            self._crew.go_on(self.dice.choice(awake), self._turn)

    def _write(self) -> None:
        """Let producers write what is due, as soon as there is a log."""
        while self._unwritten and not self.broker.away:
            due = self._unwritten.popleft()
            if due.kind == "definition" and due.fields is not None:
                self._installation.publish(**due.fields)
                self.tell(f"new definition {due.fields}", "definitions")
                continue
            if due.kind == "erasure" and due.fields is not None:
                self._installation.erase(**due.fields)
                self.tell(f"erasure of {due.fields}", "erasures")
                continue
            topic = TOPICS.predictions if due.kind == "prediction" else TOPICS.ground_truth
            value = b"{" if due.fields is None else event(due.kind, due.fields)
            record = self.broker.append(Outgoing(topic, value, partition=due.partition))
            self.tell(f"{topic}-{due.partition}@{record.offset} <- {due.fields or value.decode()}", "events")

    # What goes wrong.

    def _strike(self, fault: Fault) -> None:
        size, crew = fault.size, self._crew
        match fault.kind:
            case FaultKind.LOST_ACK | FaultKind.LOST_REPLY:
                self._armed[fault.kind] += 1
            case FaultKind.KILL | FaultKind.STOP | FaultKind.FREEZE:
                if crew.processes:
                    self._hit(crew.processes[int(size * len(crew.processes))], fault)
            case FaultKind.JOIN:
                crew.join(crew.services[int(size * len(crew.services))])
            case FaultKind.NO_REDIS:
                self.is_redis_away, self._redis_back = True, fault.turn + 1 + int(size * 40)
                self.tell("Redis is away", "outages")
            case FaultKind.NO_KAFKA:
                self.broker.away, self._kafka_back = True, fault.turn + 1 + int(size * 20)
                self.tell("Kafka is away", "outages")
            case FaultKind.REWIND:
                steps = 1 + int(size * 12)
                self.redis.rewind(steps)
                self.tell(f"Redis loses its last {steps} writes", "rewinds")
            case FaultKind.RESTORE:
                moment = int(size * len(self.redis.moments))
                self.redis.become(self.redis.moments[moment])
                self.tell(f"Redis becomes what it was after the write {moment} of all", "restores")
            case FaultKind.WIPE:
                self.redis.become(self.redis.moments[0])
                self.tell("Redis is empty", "wipes")
            case FaultKind.JUMP:
                jump = round((size * 1.2 - 0.2) * HORIZON_MS)
                self.clock.jumped_ms += jump
                self.tell(f"the broker's clock jumps by {jump:,} ms", "jumps")
            case FaultKind.LEAP:
                leap = LEAST_LEAP_MS + round(size * LEAST_LEAP_MS)
                self.clock.jumped_ms += leap
                self.tell(f"the broker's clock leaps by {leap:,} ms", "leaps")
            case FaultKind.TRIM:
                self._trim(size)
            case FaultKind.TRUNCATE:
                self._truncate(size)

    def _hit(self, process: Process, fault: Fault) -> None:
        finer = int(fault.size * 997)
        match fault.kind:
            case FaultKind.KILL:
                self.tell(f"{process.name} is killed before: {process.at}", "kills")
                self._crew.kill(process, start_at=fault.turn + 1 + finer % 12)
            case FaultKind.STOP:
                self.tell(f"{process.name} is asked to stop", "stops on request")
                process.is_asked_to_stop = True
            case _:
                until = fault.turn + 10 + finer % 80
                self.tell(f"{process.name} stands still until turn {until}, before: {process.at}", "zombies")
                self._crew.freeze(process, until=until)

    def _trim(self, size: float) -> None:
        """Let retention take what lies below the older of the whole checkpoints in the log, as it may."""
        source = TopicPartition(TOPICS.observations, int(size * 997) % TOPICS.observations_partitions)
        logged = LoggedCheckpoints(self.broker.reader, self.broker.writer(), TOPICS.checkpoints, "main")
        kept = [] if self.broker.away else logged.candidates(source.partition)
        positions = [one.position for one in kept if _is_whole(one)]
        low = min(positions, default=0)
        if positions and low > self.broker.log(source).low:
            gone = [record for record in self.broker.records(*source) if record.offset < low]
            self.trimmed.setdefault(source, []).extend(gone)
            self.broker.delete_records(source, low)
            self.tell(f"{source.topic}-{source.partition} loses everything before {low}", "trims")

    def _truncate(self, size: float) -> None:
        source = TopicPartition(TOPICS.observations, int(size * 997) % TOPICS.observations_partitions)
        high = self.broker.high(source)
        keep = max(0, high - 1 - int(size * 6))
        if keep < high and not self.broker.away:
            self.broker.truncate(source, keep)
            self.tell(f"{source.topic}-{source.partition} loses everything from {keep} on", "truncations")

    # What people do about it.

    def _repair(self, error: str) -> None:
        """Do what the error of a service that stopped says; it has no reason to stop where nothing was truncated."""
        if self.story.trims and "outside" in error:
            return  # it stood still for too long, and goes on from a newer checkpoint
        leapt = re.search(r"DRIFTLINE_CONFIRMED_LOG_TIME=(\S+)", error)
        if leapt and self.confirmed_ms is not None:
            self.confirmed_ms = max(self.confirmed_ms, parse_ts(leapt[1]))
            self.tell(f"stops: {error}", "leaps confirmed")
            return
        if not self.story.truncates:
            raise LogIdentity(error)
        self.tell(f"stops: {error}", "stops")
        missing = re.search(r"outputs of shard (\d+)", error)
        beyond = re.search(r"repair observations --checkpoint (\d+)", error)
        if missing:
            self._rebuild(int(missing[1]))
        elif beyond:
            partition = int(beyond[1])
            self.redis.do(lambda content: content.checkpoints.drop(partition))
            LoggedCheckpoints(self.broker.reader, self.broker.writer(), TOPICS.checkpoints, "main").drop(partition)
            self.tell(f"the checkpoint of partition {partition} is deleted", "checkpoints deleted")

    def _rebuild(self, shard: int) -> None:
        """Delete a shard's view; once that is done, let the joiner write everything again and the detector read it."""
        if shard in self._rebuilding:
            position = self.redis.content.view.load(shard).position
            if position is not None and position >= self._rebuilding[shard]:
                del self._rebuilding[shard]
            return
        self._rebuilding[shard] = self.broker.high(TopicPartition(TOPICS.halves, shard))
        self.redis.do(lambda content: content.view.drop(shard, aloud=True))
        self.tell(f"the view of shard {shard} is deleted", "rebuilds")

    def _heal(self) -> None:
        """End all faults and all processes, and start one of each service."""
        self._armed.clear()
        self.is_redis_away = self.broker.away = False
        self._crew.kill_all()
        self._write()
        self.tell("everything is healed")
        for service in self._crew.services:
            self._crew.start(service)
        for service in SHARING if self.story.shares_out else ():
            self._crew.start(service)

    def _leave_shares(self) -> None:
        """Let one of two leave who have shared out all there is: what comes now is for the other one."""
        for service in SHARING if self.story.shares_out else ():
            self._end(next(process for process in self._crew.processes if process.role == service))

    def _settle(self) -> None:
        """Let processes take turns until nobody has anything to do."""
        quiet = 0
        for _ in range(MOST_ROUNDS):
            worked = [self._step(process) for process in list(self._crew.processes)]
            quiet = 0 if self._crew.deliver() or any(worked) else quiet + 1
            if quiet == QUIET_ROUNDS:
                return
            # An idle joiner sees only at the next tick that its view was deleted.
            self.clock.seconds += RESTART_SECONDS if self._crew.due else ROUND_SECONDS
            quiet = 0 if self._crew.due else quiet
            self._crew.start_due()
        raise NoProgressError

    def _step(self, process: Process) -> bool:
        """Let a process finish one step; return whether it did anything, or ended."""
        steps = process.steps
        while process.steps == steps and not process.is_over:
            self._crew.go_on(process, self._turn)
        return process.has_worked or process.is_over

    def _stop(self) -> None:
        """Ask every process to stop."""
        for process in list(self._crew.processes):
            self._end(process)

    def _end(self, process: Process) -> None:
        process.is_asked_to_stop = True
        while not process.is_over:
            self._crew.go_on(process, self._turn)


def _is_whole(candidate: Candidate) -> bool:
    """Tell whether a checkpoint reads: two detectors that begin at once may have written over each other."""
    try:
        candidate.read()
    except Corrupt:
        return False
    return True

"""One installation among servers that a fault may hurt: services, traffic, and what both leave behind."""

from __future__ import annotations

import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import redis
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from services.cli.adapters.pipeline import Pipeline
from services.cli.adapters.verification import verified
from services.cli.demo.passage import Passage
from services.cli.publication import Publication
from services.cli.verify.report import Report
from services.joiner.meta import Counters, summary
from shared.errors import DriftlineError
from shared.events.alert import AlertEnvelope
from shared.events.block import SRC_OFFSET, SRC_PARTITION, SRC_TOPIC, decode
from shared.log import Record
from shared.settings import Settings
from tests.faults.crew import Crew
from tests.faults.fault import Findings
from tests.faults.load import MODEL, Load, Mix, load
from tests.faults.producer import Writing
from tests.faults.servers import Servers
from tests.kit.installation import Event, Installation
from tests.kit.observations import copies
from tests.kit.pipeline import monitored, publications

DATA_PLANE = ("prediction_consumer", "ground_truth_consumer", "joiner", "detector")
PATIENCE_SECONDS = 240.0
LOOK_SECONDS = 0.1
PER_SECOND = 4_000.0


class Impatience(Exception):
    """What a fault waits for does not come."""


class Rig:
    """Runs services on `servers`, through links, and looks at them past the links."""

    def __init__(
        self,
        servers: Servers,
        folder: Path,
        *,
        seed: int,
        records: int,
        published: Sequence[Publication] | None = None,
        **changed: Any,
    ) -> None:
        name = f"f{uuid.uuid4().hex[:12]}"
        self.servers = servers
        self.dice = Random(f"fault {seed}")
        self.records = records
        self.seed = seed
        self.folder = folder
        self.settings = Settings(
            bootstrap=servers.linked_bootstrap,
            redis_url=f"redis://127.0.0.1:{servers.redis_link.port}/0",
            topic_prefix=f"{name}.",
            installation=name,
            id_key="test",
            health_port=0,
            heartbeat="1s",
            **changed,
        )
        self.topics = self.settings.topics
        self.past_links = msgspec.structs.replace(
            self.settings,
            bootstrap=servers.bootstrap,
            redis_url=f"redis://127.0.0.1:{servers.redis_watch.port}/0",
        )
        self.here = Installation(self.past_links, published or publications(monitored(loan={})))
        self.pipeline = Pipeline(self.past_links, [MODEL])
        self.redis: Any = redis.Redis.from_url(self.past_links.redis_url, socket_timeout=PATIENCE_SECONDS)
        self.crew = Crew(self.settings, folder)
        self.findings = Findings()
        self.load: Load | None = None
        self.undo = ExitStack()  # what lasts until the fault is judged
        self._writing: list[Writing] = []

    # What a fault does.

    def start(self, *names: str, fail: Mapping[str, Sequence[str]] | None = None) -> None:
        """Start services; `fail` names the failpoints of those that have any: see `Crew.start`."""
        for name in names or DATA_PLANE:
            self.crew.start(name, fail=(fail or {}).get(name, ()))

    def write(self, mix: Mix | None = None, *, per_second: float = PER_SECOND, off_ms: Sequence[int] = (0,)) -> None:
        """Begin to write a load; off_ms: by how much the clocks of those who write it are wrong."""
        self.load = load(self.topics, self.seed, self.records, mix)
        self.write_events(self.load.events, per_second=per_second, off_ms=off_ms)

    def write_events(
        self,
        events: Sequence[Event],
        *,
        per_second: float = PER_SECOND,
        partition: int = -1,
        off_ms: Sequence[int] = (0,),
    ) -> None:
        """Begin to write events, each where its key belongs, or all to one partition."""
        self._writing.append(Writing(self.past_links.bootstrap, events, per_second, partition, off_ms))

    @property
    def written(self) -> int:
        """Return how many events the broker has acknowledged."""
        return sum(writing.written for writing in self._writing)

    @property
    def is_written(self) -> bool:
        """Return whether the broker has acknowledged everything."""
        return all(writing.is_done for writing in self._writing)

    def until(self, what: str, holds: Callable[[], object], *, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until something holds, and start services again that end meanwhile; what cannot be asked does not hold.

        Raises:
            Impatience: it takes too long.
        """
        end = time.monotonic() + seconds
        while True:
            self.crew.tend()
            try:
                if holds():
                    return
            except (DriftlineError, redis.RedisError, KafkaException, OSError):
                pass  # a server is away
            if time.monotonic() > end:
                raise Impatience(f"not within {seconds:.0f} s: {what}")
            time.sleep(LOOK_SECONDS)

    def last(self, seconds: float) -> None:
        """Let a fault last that is made of time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.crew.tend()
            time.sleep(LOOK_SECONDS)

    def await_end(self, name: str, code: int = -signal.SIGKILL) -> None:
        """Wait until a process has ended by itself with `code`; it has a successor then."""
        self.until(f"{name} ends with {code}", lambda: self.crew.ends[name, code])

    def await_written(self, share: float) -> None:
        """Wait until a share of the load is written."""
        assert self.load is not None
        wanted = share * len(self.load.events)
        self.until(f"{share:.0%} of the load is written", lambda: self.written >= wanted)

    def await_joined(self, share: float) -> None:
        """Wait until the joiner has taken in a share of the load's predictions."""
        assert self.load is not None
        wanted = share * self.load.requests
        self.until(f"{share:.0%} of the predictions are served", lambda: self.counters().served >= wanted)

    def settle(self) -> None:
        """Wait until everything is written and has gone through, and there is a checkpoint of each log to verify."""
        self.until("everything is written", lambda: self.is_written)
        passage = Passage(self.pipeline.stations()[: len(DATA_PLANE)])
        self.until("everything has gone through", passage.is_over)
        # A log without rows holds nothing before its first tick, which comes when the rows are through.
        self.until("each log has a checkpoint", lambda: len(self.positions()) == self.topics.observations_partitions)

    # What it says of it.

    def happened(self, **times: int) -> None:
        """Take how often something happened without which there was no fault."""
        self.findings.happened |= {name.replace("_", " "): count for name, count in times.items()}

    def saw(self, **times: int) -> None:
        """Take what is worth telling."""
        self.findings.seen |= {name.replace("_", " "): count for name, count in times.items()}

    def holds(self, claim: str, is_so: object) -> None:
        """Take what must be so."""
        if not is_so:
            self.findings.broken.append(f"not so: {claim}")

    # What is left behind.

    def read(self, topic: str) -> list[Record]:
        """Return what a topic holds; its reader may hear only now of a broker that was away, and is asked again."""
        found: list[Record] = []

        def is_read() -> bool:
            found[:] = self.here.records(topic)
            return True

        self.until(f"{topic} is read", is_read)
        return found

    def duplicates_in_halves(self) -> int:
        """Return how many rows of the halves were read from an event that another row was read from."""
        sources: Counter[tuple[str, int, int]] = Counter()
        for record in self.read(self.topics.halves):
            batch = decode(record).batch
            if batch is not None:
                columns = (batch.column(name).to_pylist() for name in (SRC_TOPIC, SRC_PARTITION, SRC_OFFSET))
                sources.update(zip(*columns, strict=True))
        return sources.total() - len(sources)

    def copies(self) -> int:
        """Return how many rows of the observations were written again; receivers drop them."""
        return copies(self.read(self.topics.observations))

    def alert_copies(self) -> int:
        """Return how many alerts were written again."""
        ids = [_alert_id(record) for record in self.read(self.topics.alerts)]
        return len(ids) - len(set(ids))

    def alerts(self) -> int:
        """Return how many alerts there are."""
        return len({_alert_id(record) for record in self.read(self.topics.alerts)})

    def letters(self) -> int:
        """Return how many different events were dead-lettered."""
        return len({record.key for record in self.read(self.topics.dead_letters)})

    def counters(self) -> Counters:
        """Return what the joiner has counted."""
        total = Counter[str]()
        for kept in self.here.view().values():
            for counted in summary(kept.meta).values():
                total.update(msgspec.structs.asdict(counted))
        return Counters(**total)

    def positions(self) -> dict[int, int]:
        """Return where the detector's checkpoints stand."""
        return {number: kept.position for number, kept in self.here.checkpoints().items()}

    def verify(self) -> Report:
        """Fold the logs again."""
        return verified(self.past_links)

    def close(self) -> None:
        """Leave; the servers run on, without what was written: a broker that is killed reads all its logs again."""
        self.undo.close()
        self.crew.end()
        for writing in self._writing:
            writing.stop()
        if self.servers.are_well:
            names = [spec.name for spec in self.topics.specs()]
            client = AdminClient({"bootstrap.servers": self.servers.bootstrap, "log_level": 0})
            for answer in client.delete_topics(names).values():
                answer.exception(PATIENCE_SECONDS)  # where it cannot be done, it only takes room
        self.pipeline.close()
        self.here.close()
        self.redis.close()


def _alert_id(record: Record) -> str:
    return msgspec.json.decode(record.value or b"", type=AlertEnvelope).id

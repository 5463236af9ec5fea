"""The demo: embedded servers, real service processes, ordinary producers, and the books at the end."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from services.cli.adapters.chaos import Chaos
from services.cli.adapters.event_producer import EventProducer
from services.cli.adapters.pipeline import Pipeline
from services.cli.adapters.supervisor import GRACE_SECONDS, driftline, start_child
from services.cli.adapters.webhook_receiver import WebhookReceiver, receiving
from services.cli.configuration import read_configuration
from services.cli.demo import sets
from services.cli.demo.display import Display
from services.cli.demo.naive_table import Comparison
from services.cli.demo.order import Event, side_by_side
from services.cli.demo.passage import Passage
from services.cli.demo.screen import Sight
from services.cli.demo.summary import Summary, chaos_of, close_books, enter_read_again, summarise
from services.cli.names import SERVICES
from services.cli.verify.report import Report
from services.devstack.adapters.stack import running_stack
from services.devstack.stack import StackOptions
from shared.adapters.kafka import KafkaAdmin
from shared.errors import DriftlineError, Unavailable
from shared.settings import Settings

LOOK_SECONDS = 0.5
READY_SECONDS = 300.0  # building baselines and, the first time, compiling the detector
STILL_SECONDS = 180.0  # a pipeline that does nothing for so long is stuck
DAY_MS = 86_400_000
LAST_LINES = 20

Compare = Callable[[int | None, Mapping[str, list[int]], Mapping[str, float]], Comparison]
"""Compare naive rules with Driftline: rows of each set, its pages by model, days of stream by model."""

Prove = Callable[[Settings], Report]
"""Fold the logs of an installation again, and compare."""


class DemoFailed(DriftlineError):
    """The demo cannot go on; the text says why and where the logs are."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """How to run."""

    data: Path | None  # None: a new temporary folder, of which summary, configuration and logs stay
    speed: float | None  # times real time of the stream; None: as fast as the consumers follow
    rows: int | None  # predictions of each set; None: all
    kafka_port: int | None  # None: the usual one, or a free one; as `redis_port`
    redis_port: int | None
    cache: Path
    compare: Compare | None = None  # with what naive rules would have paged
    prove: Prove | None = None  # kill and empty everything meanwhile, and prove that nothing is lost or counts twice

    def stack(self, data: Path) -> StackOptions:
        """Return how to start the servers."""
        return StackOptions(cache=self.cache, data=data, kafka_port=self.kafka_port, redis_port=self.redis_port)


@contextmanager
def finished_demo(options: DemoOptions, settings: Settings, display: Display) -> Iterator[tuple[Summary, Settings]]:
    """Run the demo; yield its summary and where things are while everything is still up, and end it on the way out.

    Raises:
        DemoFailed: a service ended, or nothing moved any more.
        StackFailed: the servers do not start.
    """
    begun = time.monotonic()
    data = options.data or Path(tempfile.mkdtemp(prefix="driftline-demo-"))
    with ExitStack() as undo:
        if options.data is None:
            undo.callback(_drop_servers, data)
        with display:
            stack = undo.enter_context(running_stack(options.stack(data), display.step))
            receiver = undo.enter_context(receiving())
            here = msgspec.structs.replace(
                settings.of_open_servers(stack.bootstrap, stack.redis_url),
                config=str((data / "driftline.yaml").resolve()),
                health_port=0,  # whatever else runs on this machine
            )
            Path(here.config).write_bytes(sets.configuration(receiver.url))
            display.step(f"Kafka at {stack.bootstrap}, Redis at {stack.redis_url}, data and logs in {data}")
            KafkaAdmin(here.kafka, "demo").create(read_configuration(Path(here.config)).topics(here.topics))
            pipeline = undo.enter_context(closing(Pipeline(here, sets.SETS)))
            display.step("Building baselines and starting the services")
            services = _Services(here, data / "services.log", restart=options.prove is not None)
            undo.callback(services.stop)
            services.wait_until_started()
            display.step("Producing predictions and labels")
            producing = time.monotonic()
            producer = EventProducer(here.kafka, here.topics, sets.SETS, options.speed, pipeline.consumed)
            undo.callback(producer.stop)
            chaos = None
            if options.prove is not None:
                planned = sum(1 for _ in _recorded(options.rows))
                chaos = Chaos(stack, here.redis, services.pids, planned, display.step)
                undo.callback(chaos.release)
            producer.start(_recorded(options.rows) if chaos is None else chaos.paced(_recorded(options.rows)))
            last = _Watch(pipeline, producer, receiver, services, display, producing, chaos).until_all_is_done()
            done = time.monotonic()
            proved = None
            if chaos is not None and options.prove is not None:
                display.step("Folding the logs again")
                enter_read_again(last.accounts, pipeline.read_again())
                proved = chaos_of(chaos.fallen, options.prove(here))
            comparison = None
            if options.compare is not None:
                display.step("Asking the naive rules about the same events")
                comparison = options.compare(options.rows, pipeline.findings.pages, last.stream_days)
        close_books(last.accounts, pipeline.findings, here.topics)
        summary = summarise(
            last.accounts,
            pipeline.findings,
            stream_days=last.stream_days,
            seconds={"start": producing - begun, "pipeline": done - producing, "total": done - begun},
            retrainings_accepted=receiver.accepted,
            data=str(data),
            naive_rules=comparison,
            chaos=proved,
        )
        (data / "summary.json").write_bytes(msgspec.json.format(msgspec.json.encode(summary)) + b"\n")
        yield summary, here


def _recorded(rows: int | None) -> Iterator[Event]:
    return side_by_side([sets.recorded(name, rows) for name in sets.SETS])


class _Services:
    """`driftline services run` as a child process."""

    def __init__(self, settings: Settings, log: Path, *, restart: bool) -> None:
        self._log = log
        with log.open("wb") as output:
            command = driftline("services", "run", "--stop-with-parent", *(["--restart"] if restart else []))
            self._process = start_child(command, settings.environment(), output.fileno())

    def wait_until_started(self) -> None:
        """Return once every service says so in the log.

        Raises:
            DemoFailed: one ended, or it takes too long.
        """
        deadline = time.monotonic() + READY_SECONDS
        while not self.pids().keys() >= set(SERVICES):
            self.refuse_end()
            if time.monotonic() > deadline:
                raise DemoFailed(f"the services have not started in {READY_SECONDS:.0f} s; see {self._log}")
            time.sleep(LOOK_SECONDS)

    def pids(self) -> dict[str, int]:
        """Return the newest process of each service whose lines, `NAME | {JSON}`, hold the event `started`."""
        said = (text.partition(" | ") for text in self._log.read_text(encoding="utf-8", errors="replace").splitlines())
        started = ((name.strip(), text) for name, _, text in said if '"event":"started"' in text)
        return {name: msgspec.json.decode(text)["pid"] for name, text in started}

    def refuse_end(self) -> None:
        """Raise DemoFailed if they have ended."""
        if self._process.poll() is not None:
            last = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
            raise DemoFailed("\n".join(["the services ended", *last, f"(from {self._log})"]))

    def stop(self) -> None:
        """Ask them to stop and wait until they have; idempotent."""
        self._process.terminate()
        try:
            self._process.wait(2 * GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@dataclass(slots=True)
class _Watch:
    """Looks at everything until nothing is left to do."""

    pipeline: Pipeline
    producer: EventProducer
    receiver: WebhookReceiver
    services: _Services
    display: Display
    begun: float
    chaos: Chaos | None

    def until_all_is_done(self) -> Sight:
        """Show each look, and return the last one."""
        stations = self.pipeline.stations()
        passage = Passage(stations)
        moved = time.monotonic()
        before: object = None
        while True:
            self.services.refuse_end()
            if self.chaos is not None:
                self.chaos.strike()
            try:
                is_over = self.producer.is_done and self._is_calm and passage.is_over()
                findings = self.pipeline.listen()
                behind = {station.name: station.behind() for station in stations}
                sight = self._sight(behind)
            except Unavailable:
                if self.chaos is None or time.monotonic() - moved > STILL_SECONDS:
                    raise
                continue
            self.display.show(sight)
            if is_over and not findings.has_unanswered_retrainings:
                return sight
            state = (behind, sight.stream_days, sight.accounts)
            if state != before:
                before, moved = state, time.monotonic()
            elif time.monotonic() - moved > STILL_SECONDS:
                raise DemoFailed(f"nothing moved for {STILL_SECONDS:.0f} s; records behind: {behind}")
            time.sleep(LOOK_SECONDS)

    @property
    def _is_calm(self) -> bool:
        return self.chaos is None or self.chaos.is_over

    def _sight(self, behind: dict[str, int]) -> Sight:
        accounts = self.pipeline.accounts()
        for model, produced in self.producer.produced.items():
            accounts[model].predictions.produced = produced.predictions
            accounts[model].labels.produced = produced.labels
        return Sight(
            seconds=time.monotonic() - self.begun,
            stream_days={model: done.until_ms / DAY_MS for model, done in self.producer.produced.items()},
            accounts=accounts,
            behind=behind,
            incidents=list(self.pipeline.findings.incidents.values()),
            retrainings_accepted=self.receiver.accepted,
        )


def _drop_servers(data: Path) -> None:
    """Delete what Kafka and Redis stored; what people read stays."""
    for server in ("kafka", "redis"):
        shutil.rmtree(data / server, ignore_errors=True)

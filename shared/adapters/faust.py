"""Hosts a `RecordStage` on Faust, by the rules that Faust 0.15.3 makes necessary.

* It commits a record whose handler raised, or was cancelled. So a handler that fails ends the process at once, and a
  cancelled one finishes its record before the cancellation goes on. One that finds a dependency away keeps its record
  and tries again after a while, as `shared.runtime.run` does.
* It reads what transactions have not committed, or have aborted, unless it writes transactions itself.
* It creates topics of its own (`…-__assignor-__leader`, replies) and a web server: both are off; no tables, no
  changelogs, so a broker that forbids the creation of topics is enough.
* A dead member is missed after a minute by default; six seconds is what brokers allow at least.

Handlers run on one thread beside the event loop, so that a slow receiver never costs the group membership.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from contextvars import copy_context
from functools import partial
from typing import Any, NoReturn, TypeVar, cast

import faust
import structlog
from faust.auth import Credentials
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP, AppT, EventT, StreamT

from shared.access import KafkaAccess
from shared.adapters.access import await_access
from shared.adapters.credentials import reveal, surroundings, tls_context
from shared.adapters.health import serving_health
from shared.adapters.process import fail
from shared.adapters.stalls import telling_stalls
from shared.adapters.system_clock import SystemClock
from shared.errors import Busy, DriftlineError, Unavailable, Undelivered
from shared.failpoints import Failpoints
from shared.flow import Handled
from shared.log import Record
from shared.measures import Measure
from shared.progress import Progress
from shared.runtime import ExitCode, exit_code, next_wait
from shared.settings import Settings
from shared.stage import RecordStage
from shared.telemetry import configure_logging

Wire = Callable[[Settings, Failpoints, ExitStack], RecordStage]

LOG = structlog.get_logger("driftline.faust")
TICK_SECONDS = 0.5

T = TypeVar("T")


def serve_records(service: str, environ: Mapping[str, str], wire: Wire) -> int:
    """Run one record stage on Faust until SIGTERM or SIGINT; return the exit code (`shared.runtime.ExitCode`).

    `wire` opens what the stage needs and leaves the undoing on its stack. The stage gets its topic at least once, as a
    member of a consumer group of this installation. After an unexpected error this does not return: the process ends
    with its exit code, nothing in hand is committed, and the next process takes the same records again.
    """
    configure_logging(service, "info", sys.stdout)
    try:
        settings = surroundings(environ)
        configure_logging(service, settings.log_level, sys.stdout)
        with tempfile.TemporaryDirectory(prefix="driftline-") as scratch, ExitStack() as undo:
            clock = SystemClock()
            progress = Progress(clock)
            host, port = undo.enter_context(serving_health(service, settings, progress))
            undo.enter_context(telling_stalls(progress))
            LOG.info("serving_health", host=host, port=port)
            # Until Faust has its own handlers, a signal ends the process at once, and nothing is in hand.
            await_access(service, settings, clock=clock, should_stop=lambda: False, progress=progress)
            stage = wire(settings, Failpoints(settings.fail, fail), undo)
            asyncio.run(_serve(stage, settings, scratch, progress))
    except DriftlineError as exc:
        LOG.critical("failed", reason=type(exc).__name__, error=str(exc))
        return exit_code(exc)
    LOG.info("ended", reason="stopped")
    return ExitCode.STOPPED


async def _serve(stage: RecordStage, settings: Settings, scratch: str, progress: Progress) -> None:
    await _Host(stage, _app(stage, settings, scratch), progress).run()  # inside the loop that the app binds to


def _app(stage: RecordStage, settings: Settings, scratch: str) -> faust.App:
    app = faust.App(
        settings.group(stage.name),
        broker=[f"kafka://{server.strip()}" for server in settings.bootstrap.split(",")],
        broker_credentials=_credentials(settings.kafka),
        broker_session_timeout=6.0,
        broker_heartbeat_interval=2.0,
        broker_commit_interval=1.0,
        consumer_auto_offset_reset="earliest",
        processing_guarantee="at_least_once",
        autodiscover=False,
        datadir=scratch,
        store="memory://",
        reply_create_topic=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
    )
    app.transport.Consumer = _Consumer  # type: ignore[misc]  # where the app looks for it
    return app


def _credentials(access: KafkaAccess) -> Credentials | None:
    context = tls_context(access.tls) if access.uses_tls else None
    if access.uses_sasl:
        return faust.SASLCredentials(
            username=access.username,
            password=reveal(access.password),
            mechanism=access.mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context else None


class _ConsumerThread(AIOKafkaConsumerThread):
    """Reads what is committed, which Faust by itself does only where it writes transactions, too."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = cast("Any", self.consumer)
        before, consumer.in_transaction = consumer.in_transaction, True
        try:
            return super()._create_worker_consumer(transport)
        finally:
            consumer.in_transaction = before


class _Consumer(Consumer):
    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)


class _Host:
    """One run of one stage."""

    def __init__(self, stage: RecordStage, app: faust.App, progress: Progress) -> None:
        self._stage = stage
        self._app = app
        self._progress = progress
        self._is_assigned = False
        self._waiting: set[Callable[[], object]] = set()  # calls that are tried again
        self._handled = Handled()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=stage.name)
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        self._app.on_partitions_assigned.connect(cast("Any", self._assigned), weak=False)
        records = self._app.topic(
            self._stage.topic,
            key_type=bytes,
            key_serializer="raw",
            value_type=bytes,
            value_serializer="raw",
            allow_empty=True,
        )
        self._app.agent(records, name=f"{self._stage.name}.records")(self._consume)
        self._progress.watch(self._measures)
        await self._start()
        LOG.info("started", topic=self._stage.topic, pid=os.getpid())
        ticking = asyncio.create_task(self._tick())
        await self._until_stopped()
        self._progress.stops()
        await ticking
        await self._app.stop()
        await self._whole(self._stage.close)
        self._thread.shutdown()

    async def _start(self) -> None:
        try:
            await self._app.start()
        except Exception as exc:  # noqa: BLE001 - the runtime's last line: nothing was taken yet
            _die("faust_did_not_start", exc)

    async def _consume(self, stream: StreamT[bytes]) -> None:
        async for event in stream.events():
            await self._patiently(partial(self._handle, _record(event)))

    async def _assigned(self, app: AppT, assigned: Iterable[TP], **_: object) -> None:
        del app
        ours = frozenset(tp.partition for tp in assigned if tp.topic == self._stage.topic)
        LOG.info("assigned", partitions=sorted(ours))
        await self._patiently(partial(self._take_over, ours))

    async def _tick(self) -> None:
        while not self._stopping.is_set():
            worked = await self._patiently(self._stage.tick)
            await self._pause(0.0 if worked else TICK_SECONDS)

    async def _until_stopped(self) -> None:
        ended = asyncio.create_task(self._app.wait_until_stopped())
        asked = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not self._stopping.is_set():
            _die("faust_stopped", self._app.crash_reason)
        ended.cancel()

    async def _patiently(self, call: Callable[[], T]) -> T:
        """Run `call` until nothing that it needs is away. A stop meanwhile ends the process, with nothing committed."""
        wait = 0.0
        while True:
            try:
                return await self._whole(partial(self._turn, call))
            except (Busy, Unavailable) as exc:
                if self._stopping.is_set():
                    _die("stopped_while_waiting", exc)
                wait = next_wait(wait, exc)
                LOG.warning("waiting", error=str(exc), seconds=wait)
                try:
                    await self._pause(wait)
                except asyncio.CancelledError:
                    _die("cancelled_while_waiting", exc)

    def _handle(self, record: Record) -> None:
        self._stage.handle(record)
        self._handled.took(record)

    def _measures(self) -> Iterator[Measure]:
        yield from self._handled.measures()
        yield from self._stage.measures()

    def _take_over(self, partitions: frozenset[int]) -> None:
        self._stage.assigned(partitions)
        self._is_assigned = True

    def _turn(self, call: Callable[[], T]) -> T:
        """Run one call on the stage's thread and tell of it: ready is who has partitions and waits with nothing."""
        try:
            result = call()
        except (Busy, Unavailable) as exc:
            self._waiting.add(call)
            self._progress.waits(exc)
            raise
        self._waiting.discard(call)
        self._progress.turned(is_ready=self._is_assigned and not self._waiting)
        return result

    async def _pause(self, seconds: float) -> None:
        """Wait, but no longer than until the stop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _whole(self, call: Callable[[], T]) -> T:
        """Run `call` on the stage's thread to its end, even when this task is cancelled meanwhile."""
        work = asyncio.get_running_loop().run_in_executor(self._thread, copy_context().run, _deadly, call)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            while not work.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({work})
            if (failure := work.exception()) is not None:
                _die("cancelled_while_waiting", failure)
            raise


def _record(event: EventT[bytes]) -> Record:
    message = event.message
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp_ms=round(message.timestamp * 1000),
        key=message.key,
        value=message.value,
    )


def _deadly(call: Callable[[], T]) -> T:
    """Return what `call` returns; an exception must not reach Faust, which would commit the record.

    Raises:
        Busy, Unavailable: for `_patiently`, but not where a write went missing.
    """
    try:
        return call()
    except Undelivered as exc:
        _die("stage_failed", exc)
    except (Busy, Unavailable):
        raise
    except Exception as exc:  # noqa: BLE001 - the runtime's last line
        _die("stage_failed", exc)


def _die(event: str, exc: BaseException | None) -> NoReturn:
    LOG.critical(event, exc_info=exc)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code(exc) if isinstance(exc, Exception) else ExitCode.BUG)

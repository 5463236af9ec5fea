"""An ordinary producer of events, as a company's own services would be: keyed by request id, no Driftline code.

Two things keep a replay of months like the months themselves. Each model's events go to one partition of their topic,
so that its predictions are read in the order in which they were made. And never more than `AHEAD` events are unread,
so that labels stay about as far from their predictions as they were.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from confluent_kafka import KafkaError, Message, Producer

from services.cli.demo.order import Event
from shared.access import KafkaAccess
from shared.adapters.kafka.client import Outage, client_settings
from shared.errors import Unavailable
from shared.topics import Topics

AHEAD = 2_000  # events
LOOK_SECONDS = 0.05
FLUSH_SECONDS = 60.0


@dataclass(slots=True)
class Produced:
    """Acknowledged events of one model."""

    predictions: int = 0
    labels: int = 0
    until_ms: int = 0  # time of the last prediction, counted from the set's first event


class EventProducer:
    """Sends events in their order, in a thread of its own.

    speed: times real time of the events; None is as fast as the readers follow. consumed: how many events they
    have read.
    """

    def __init__(
        self,
        access: KafkaAccess,
        topics: Topics,
        models: Iterable[str],
        speed: float | None,
        consumed: Callable[[], int],
    ) -> None:
        self._producer = Producer(
            {
                **client_settings(access, "producer", Outage()),
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 20,
            }
        )
        self._topics = topics
        self._speed = speed
        self._consumed = consumed
        self._failure: KafkaError | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.produced = {model: Produced() for model in models}
        self._partitions = {model: place % topics.input_partitions for place, model in enumerate(self.produced)}

    def start(self, events: Iterable[Event]) -> None:
        """Begin to send."""
        self._thread = threading.Thread(target=self._send_all, args=(events,), name="producer", daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """Return whether every event was sent and acknowledged.

        Raises:
            Unavailable: the broker refused one, or did not acknowledge it.
        """
        if self._failure is not None:
            raise Unavailable(f"the broker did not take an event: {self._failure.str()}")
        return self._thread is not None and not self._thread.is_alive()

    def stop(self) -> None:
        """Send no more; idempotent."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            del self._producer  # while the broker still answers: it would wait for it and complain

    def _send_all(self, events: Iterable[Event]) -> None:
        begun = time.monotonic()
        consumed = 0
        for sent, event in enumerate(events):
            if self._speed is not None:
                self._wait_until(begun + event.after_ms / 1000 / self._speed)
            while sent - consumed >= AHEAD and not self._stop.wait(LOOK_SECONDS):
                self._producer.poll(0)
                consumed = self._consumed()
            if self._stop.is_set() or self._failure is not None:
                break
            self._send(event)
        if self._producer.flush(FLUSH_SECONDS):
            self._failure = self._failure or KafkaError(KafkaError._MSG_TIMED_OUT)  # noqa: SLF001 - a public code

    def _wait_until(self, moment: float) -> None:
        while (left := moment - time.monotonic()) > 0 and not self._stop.is_set():
            self._producer.poll(0)
            self._stop.wait(min(left, 0.1))

    def _send(self, event: Event) -> None:
        def acknowledged(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                self._failure = error
                return
            produced = self.produced[event.model]
            if event.is_label:
                produced.labels += 1
            else:
                produced.predictions += 1
                produced.until_ms = max(produced.until_ms, event.after_ms)

        topic = self._topics.ground_truth if event.is_label else self._topics.predictions
        while True:
            try:
                self._producer.produce(
                    topic, event.value, event.request_id, self._partitions[event.model], on_delivery=acknowledged
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return

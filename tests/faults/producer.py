"""A producer beside the services: writes a load at a pace, through every outage, and counts what was acknowledged."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from confluent_kafka import KafkaError, Message, Producer

from tests.kit.installation import Event

WAIT_SECONDS = 0.05


class Writing:
    """Events on their way, in a thread of its own. `is_done` once every one is acknowledged."""

    def __init__(
        self, bootstrap: str, events: Sequence[Event], per_second: float, partition: int, off_ms: Sequence[int]
    ) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "linger.ms": 5,
                "message.timeout.ms": 0,  # an outage makes nobody give up
                "reconnect.backoff.max.ms": 1_000,
                "log_level": 0,
            }
        )
        self._events = events
        self._per_second = per_second
        self._partition = partition
        self._off_ms = off_ms
        self._stop = threading.Event()
        self._failure: KafkaError | None = None
        self.written = 0  # acknowledged
        self._thread = threading.Thread(target=self._write, name="producer", daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """Return whether every event was written and acknowledged."""
        assert self._failure is None, f"the broker did not take an event: {self._failure.str()}"
        return self.written == len(self._events)

    def stop(self) -> None:
        """Write no more; idempotent."""
        self._stop.set()
        self._thread.join()

    def _write(self) -> None:
        begun = time.monotonic()
        for number, event in enumerate(self._events):
            while time.monotonic() < begun + number / self._per_second and not self._stop.is_set():
                self._producer.poll(WAIT_SECONDS)
            if self._stop.is_set():
                break
            off_ms = self._off_ms[number % len(self._off_ms)]
            self._producer.produce(
                event.topic,
                event.value,
                event.key,
                self._partition,
                timestamp=time.time_ns() // 1_000_000 + off_ms,
                on_delivery=self._delivered,
            )
            self._producer.poll(0)
        while len(self._producer) and not self._stop.is_set():
            self._producer.poll(WAIT_SECONDS)
        self._producer.purge()

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.written += 1
        elif not self._stop.is_set():
            self._failure = error

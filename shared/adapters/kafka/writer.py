"""`Writer` over Kafka: idempotent, acknowledged by every replica in sync."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from shared.access import KafkaAccess
from shared.adapters.kafka.client import KnownTopics, Outage, cause, client_settings, translate
from shared.errors import Undelivered
from shared.log import Outgoing
from shared.topics import MIB

OnAck = Callable[[int, int], None]


class KafkaWriter:
    """Writes with acknowledgement.

    The library never gives a record up by itself (`message.timeout.ms=0`), so order holds through an outage;
    `patience` is how many seconds `send` waits for room and `flush` for acknowledgements before the process must start
    over.
    """

    def __init__(self, access: KafkaAccess, name: str, patience: float = 60.0) -> None:
        self._outage = Outage()
        self._producer = Producer(
            {
                **client_settings(access, name, self._outage),
                "acks": "all",
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "linger.ms": 5,
                "compression.type": "lz4",
                "partitioner": "murmur2_random",  # as Java producers place keys
                "message.max.bytes": 4 * MIB,
                "queue.buffering.max.kbytes": 64 * 1024,
            }
        )
        self._outage.serves(self._producer)
        self._patience = patience
        self._topics = KnownTopics(self._producer, self._outage)
        self._failure: Undelivered | None = None

    def send(self, message: Outgoing, on_ack: OnAck | None = None) -> None:
        """Queue `message`; waits while the queue is full."""
        self._check()
        self._topics.accept(message)
        deadline = time.monotonic() + self._patience
        while True:
            try:
                self._producer.produce(
                    message.topic,
                    value=message.value,
                    key=message.key,
                    partition=-1 if message.partition is None else message.partition,
                    on_delivery=partial(self._delivered, on_ack),
                    timestamp=message.timestamp_ms or 0,
                    headers=list(message.headers),
                )
            except BufferError as exc:
                if time.monotonic() > deadline:
                    self._failure = Undelivered(f"no room for another record in {self._patience:g} s")
                    raise self._failure from exc
                self._ask(lambda: self._producer.poll(0.1))
            except KafkaException as exc:
                self._failure = Undelivered(f"topic {message.topic}: {cause(exc).str()}")
                raise self._failure from exc
            else:
                return

    def poll(self) -> None:
        """Serve acknowledgements that have arrived."""
        self._ask(lambda: self._producer.poll(0))

    def flush(self) -> None:
        """Wait until everything sent is acknowledged."""
        waiting = self._ask(lambda: self._producer.flush(self._patience))
        if waiting:
            self._failure = Undelivered(f"{waiting} records were not acknowledged in {self._patience:g} s")
            raise self._failure

    def close(self) -> None:
        """Flush and leave; after a failure, leave without what is queued."""
        if self._failure is None:
            self.flush()
        else:
            self._producer.purge()

    def _delivered(self, on_ack: OnAck | None, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failure = self._failure or Undelivered(str(translate(error, f"topic {message.topic()}")))
        elif on_ack is not None and self._failure is None:
            on_ack(message.partition() or 0, message.offset() or 0)

    def _ask(self, serve: Callable[[], int]) -> int:
        """Let the library call back; it raises what no producer recovers from, as a broker that lost what it had."""
        try:
            found = serve()
        except KafkaException as exc:
            self._failure = Undelivered(cause(exc).str())
            raise self._failure from exc
        self._check()
        return found

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

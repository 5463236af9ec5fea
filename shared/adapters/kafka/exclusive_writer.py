"""`ExclusiveWriter` over Kafka: a transactional producer, of which only the newest of its name may write."""

from __future__ import annotations

from contextlib import suppress

from confluent_kafka import KafkaError, KafkaException, Producer

from shared.access import KafkaAccess
from shared.adapters.kafka.client import KnownTopics, Outage, cause, client_settings
from shared.errors import Unavailable
from shared.log import SHUT_OUT_SECONDS, Outgoing
from shared.topics import MIB

_SHUT_OUT = frozenset(
    {KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED}  # noqa: SLF001
)


class KafkaExclusiveWriter:
    """Opening it ends what the one before has begun, and every later write of that one fails.

    transaction: the name; `patience`: how many seconds opening and committing may take.
    """

    def __init__(self, access: KafkaAccess, name: str, transaction: str, patience: float = 30.0) -> None:
        self._transaction = transaction
        self._patience = patience
        self._is_open = False  # whether there is anything to commit
        self._outage = Outage()
        self._producer = Producer(
            {
                **client_settings(access, name, self._outage),
                "transactional.id": transaction,
                "acks": "all",
                "linger.ms": 5,
                "compression.type": "lz4",
                "message.max.bytes": 4 * MIB,
            }
        )
        self._outage.serves(self._producer)
        self._topics = KnownTopics(self._producer, self._outage)
        try:
            self._producer.init_transactions(patience)
        except KafkaException as exc:
            raise self._failed(exc) from exc

    def send(self, message: Outgoing) -> None:
        """Take one more record of those that belong together."""
        self._topics.accept(message)
        try:
            if not self._is_open:
                self._producer.begin_transaction()
                self._is_open = True
            self._producer.produce(
                message.topic,
                value=message.value,
                key=message.key,
                partition=-1 if message.partition is None else message.partition,
                timestamp=message.timestamp_ms or 0,
                headers=list(message.headers),
            )
        except BufferError as exc:
            raise Unavailable(f"{self._transaction}: more than one transaction can hold") from exc
        except KafkaException as exc:
            raise self._failed(exc) from exc

    def commit(self) -> None:
        """Write what was sent, all or nothing."""
        if not self._is_open:
            return
        try:
            self._producer.commit_transaction(self._patience)
        except KafkaException as exc:
            raise self._failed(exc) from exc
        self._is_open = False

    def close(self) -> None:
        """Leave; what was sent and not committed is not written."""
        if self._is_open:
            self._is_open = False
            with suppress(KafkaException):  # whoever opens the name next ends it
                self._producer.abort_transaction(1.0)
        self._producer.purge()

    def _failed(self, exc: KafkaException) -> Exception:
        error = cause(exc)
        if error.code() in _SHUT_OUT:
            return Unavailable(f"{self._transaction} was opened by somebody else", SHUT_OUT_SECONDS)
        return self._outage.explain(error, self._transaction)

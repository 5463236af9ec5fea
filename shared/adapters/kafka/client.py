"""What all Kafka clients share: settings, the meaning of errors, records."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient

from shared.access import KafkaAccess
from shared.adapters.credentials import reveal, tls_context
from shared.adapters.kafka.refusal import probe, refusal
from shared.errors import ConfigurationError, Denied, DriftlineError, LogIdentity, Unavailable
from shared.log import UNKNOWN_EPOCH, Outgoing, Record
from shared.topics import MIB

ANSWER_SECONDS = 10.0  # how long a question to a broker may take
ASK_AGAIN_SECONDS = 0.05

T = TypeVar("T")
Client: TypeAlias = Consumer | Producer | AdminClient

# Codes that librdkafka itself makes are public, whatever their underscore says.
END = KafkaError._PARTITION_EOF  # noqa: SLF001
NO_POSITION = KafkaError._AUTO_OFFSET_RESET  # noqa: SLF001
TOO_SLOW = KafkaError._MAX_POLL_EXCEEDED  # noqa: SLF001
_NOBODY_ANSWERS = frozenset(
    {KafkaError._ALL_BROKERS_DOWN, KafkaError._AUTHENTICATION, KafkaError._SSL}  # noqa: SLF001
)
_NO_ANSWER = frozenset(
    {
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    }
)
_REFUSED = frozenset({KafkaError._AUTHENTICATION, KafkaError._SSL})  # noqa: SLF001
_NO_SUCH_LOG = frozenset(
    {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}  # noqa: SLF001
)
# What is said of a partition in the first moments after its creation, while its leader moves, and, by the library
# itself, while a broker that starts again does not list it yet.
_NO_LEADER_YET = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    }
)
_NOT_ALLOWED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
# A commit that lost its race against a rebalance: whoever owns the log now reads those records again.
LOST_RACE = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError._NO_OFFSET,  # noqa: SLF001
        KafkaError._ASSIGNMENT_LOST,  # noqa: SLF001
    }
)


class Outage:
    """Remembers that the library lost every broker, or is refused by one, until someone asks."""

    def __init__(self) -> None:
        self._error: KafkaError | None = None
        self._access: KafkaAccess | None = None
        self._client: Client | None = None

    def of(self, access: KafkaAccess) -> None:
        """Take whose outage it would be; what starts the client calls it."""
        self._access = access

    def serves(self, client: Client) -> None:
        """Take the client: when it is refused, it is to try the password that the file holds then."""
        self._client = client

    def heard(self, error: KafkaError) -> None:
        """Take an error that belongs to no record; the library calls it."""
        is_refused = self._error is not None and self._error.code() != KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001
        if error.code() in _NOBODY_ANSWERS and not (is_refused and error.code() not in _REFUSED):
            self._error = error  # why one broker refuses us says more than that all are down

    def ask(self) -> None:
        """Raise Unavailable once for each outage that was heard of; Denied where it is a refusal."""
        error, self._error = self._error, None
        if error is not None:
            self._renew()
            if self._access is not None and (why := refusal(error, self._access)) is not None:
                raise Denied(why)
            raise Unavailable(f"Kafka does not answer: {error.str()}")

    def explain(self, error: KafkaError, what: str) -> DriftlineError:
        """Return what an error of the library means, as `translate` does; where no broker answers, one is asked why."""
        self._renew()
        return translate(error, what) if self._access is None else refused_or(error, what, self._access)

    def _renew(self) -> None:
        if self._client is not None and self._access is not None:
            renew(self._client, self._access)


def renew(client: Client, access: KafkaAccess) -> None:
    """Let a client log in with what the file of the password says now, whenever it connects next."""
    if access.uses_sasl and access.password.file:
        with suppress(ConfigurationError):  # a file that is just being replaced
            client.set_sasl_credentials(access.username, reveal(access.password))


def client_settings(access: KafkaAccess, name: str, outage: Outage) -> dict[str, Any]:
    """Return what every client is started with.

    Raises:
        ConfigurationError: a secret or a certificate cannot be read.
    """
    outage.of(access)
    return {
        "bootstrap.servers": access.bootstrap,
        **_security(access),
        "client.id": f"driftline-{name}",
        "error_cb": outage.heard,
        "logger": logging.getLogger("librdkafka"),
        "log.connection.close": False,
        "reconnect.backoff.max.ms": 2_000,
    }


def consumer_settings(access: KafkaAccess, name: str, outage: Outage) -> dict[str, Any]:
    """Return what every consumer is started with: no silent reset, no automatic commit, bounded memory."""
    return {
        **client_settings(access, name, outage),
        "auto.offset.reset": "error",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": False,
        "isolation.level": "read_committed",  # alerts are written in transactions
        "check.crcs": True,
        "queued.max.messages.kbytes": 32 * 1024,
        "fetch.queue.backoff.ms": 10,  # the default of 1 s stalls a reader whose queue was full
        "message.max.bytes": 4 * MIB,
    }


def _security(access: KafkaAccess) -> dict[str, Any]:
    given: dict[str, Any] = {"security.protocol": access.protocol}
    if access.uses_tls:
        tls = access.tls
        tls_context(tls)  # refuses, in words, what the library would refuse in OpenSSL's
        files = {"ssl.ca": tls.ca, "ssl.certificate": tls.certificate, "ssl.key": tls.key}
        given |= {f"{name}.location": path for name, path in files.items() if path}
        if tls.key_password.is_given:
            given["ssl.key.password"] = reveal(tls.key_password)
        # Both are the library's defaults; nothing that is set elsewhere turns them off.
        given |= {"enable.ssl.certificate.verification": True, "ssl.endpoint.identification.algorithm": "https"}
    if access.uses_sasl:
        given |= {"sasl.mechanism": access.mechanism, "sasl.username": access.username}
        given["sasl.password"] = reveal(access.password)
    return given


def translate(error: KafkaError, what: str) -> DriftlineError:
    """Return what an error of the library means to a loop. `what` names the log or the request."""
    code = error.code()
    if code == NO_POSITION:
        return LogIdentity(f"{what}: {error.str()}")
    if code in _NO_SUCH_LOG:
        return ConfigurationError(what, "does not exist; create it with `driftline topics create`")
    if code in _NOT_ALLOWED:
        return ConfigurationError(what, f"Kafka does not let us: {error.str()}; `driftline topics acls` shows who may")
    return Unavailable(f"{what}: {error.str()}")


def refused_or(error: KafkaError, what: str, access: KafkaAccess) -> DriftlineError:
    """Return what an error means, as `translate` does; where no broker answers, one is asked why."""
    if error.code() in _NO_ANSWER and (why := probe(client_settings(access, "probe", Outage()), access)) is not None:
        return Denied(why)
    return translate(error, what)


def cause(exc: KafkaException) -> KafkaError:
    """Return the error inside an exception of the library."""
    error: KafkaError = exc.args[0]
    return error


def answered(ask: Callable[[], T], what: str, seconds: float = ANSWER_SECONDS) -> T:
    """Return the answer to a question about a partition, asking again while it has no leader.

    Raises:
        Unavailable: it has none for as many seconds. That it does not exist is for a broker to say.
        DriftlineError: as `translate` says.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except KafkaException as exc:
            if cause(exc).code() not in _NO_LEADER_YET:
                raise translate(cause(exc), what) from exc
            if time.monotonic() > deadline:
                raise Unavailable(f"{what}: {cause(exc).str()}") from exc
        time.sleep(ASK_AGAIN_SECONDS)


def count_partitions(client: Consumer | Producer, topic: str, outage: Outage) -> int:
    """Return how many partitions `topic` has; 0 when it does not exist."""
    try:
        found = client.list_topics(topic, timeout=ANSWER_SECONDS).topics[topic]
    except KafkaException as exc:
        raise outage.explain(cause(exc), f"topic {topic}") from exc
    if found.error is None:
        return len(found.partitions)
    if found.error.code() in _NO_SUCH_LOG:
        return 0
    raise translate(found.error, f"topic {topic}")


def existing_partitions(client: Consumer | Producer, topic: str, outage: Outage) -> int:
    """Return how many partitions `topic` has.

    Raises:
        ConfigurationError: it does not exist.
    """
    partitions = count_partitions(client, topic, outage)
    if partitions == 0:
        raise ConfigurationError(f"topic {topic}", "does not exist; create it with `driftline topics create`")
    return partitions


class KnownTopics:
    """The topics that a producer writes to, each asked for once."""

    def __init__(self, producer: Producer, outage: Outage) -> None:
        self._producer = producer
        self._outage = outage
        self._partitions: dict[str, int] = {}

    def accept(self, message: Outgoing) -> None:
        """Refuse a record whose topic or partition does not exist.

        Raises:
            ConfigurationError: it does not.
        """
        partitions = self._partitions.get(message.topic)
        if partitions is None:
            partitions = self._partitions[message.topic] = existing_partitions(
                self._producer, message.topic, self._outage
            )
        if message.partition is not None and message.partition >= partitions:
            raise ConfigurationError(f"topic {message.topic}", f"has {partitions} partitions, no {message.partition}")


def to_record(message: Message) -> Record:
    """Return the record of a message without error."""
    known: Any = message  # the library types coordinates as optional: an error event may lack them, a record does not
    try:
        headers = known.headers()
    except UnicodeDecodeError:
        headers = None  # a stranger's header name that is no text; nothing of ours is written so
    return Record(
        known.topic(),
        known.partition(),
        known.offset(),
        known.timestamp()[1],
        known.key(),
        known.value(),
        tuple([(name, value or b"") for name, value in headers]) if headers else (),
        UNKNOWN_EPOCH if (epoch := known.leader_epoch()) is None else epoch,
    )

"""Transactions of alerts whose end arrives late, or never."""

from __future__ import annotations

import re
import time

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tests.faults.broker import ANSWER_SECONDS
from tests.faults.fault import Fault
from tests.faults.load import predictions_for
from tests.faults.rig import Rig

# EndTxn is request 26; version, correlation, and who asks. Its record of a partition is in `alerts` by then.
END_OF_TRANSACTION = re.compile(rb"\x00\x1a\x00.{5}..driftline-detector-alerts", re.DOTALL)
TRANSACTION_SECONDS = 60.0  # after which the broker gives up a transaction by itself
MORE = range(1_000_000, 1_002_000)  # requests after the end has arrived


def end_arrives_late(rig: Rig) -> None:
    """The detector gives up waiting and opens its name anew, which ends the transaction; then its end arrives."""
    link = rig.servers.kafka.link
    hold = link.hold(END_OF_TRANSACTION)
    rig.start()
    rig.write()
    rig.until("an end is held back", lambda: hold.caught)
    rig.until("the detector gives up waiting", lambda: rig.crew.count("detector", "step_errors_total"))
    rig.settle()
    rig.until("alerts go on", rig.alerts)
    link.let_go(hold)
    rig.until("it arrives", lambda: hold.late)
    rig.write_events(predictions_for(rig.topics, MORE))
    rig.settle()
    given_up = rig.crew.count("detector", "step_errors_total")
    rig.happened(ends_that_came_late=hold.late, producers_given_up=given_up)
    rig.saw(alerts=rig.alerts())
    rig.holds("each alert is there once", rig.alert_copies() == 0)


def left_open(rig: Rig) -> None:
    """The detector dies between its records and their end; its successor ends the transaction as it opens its name."""
    hold = rig.servers.kafka.link.hold(END_OF_TRANSACTION)
    rig.start()
    rig.write()
    rig.until("an end is held back", lambda: hold.caught)
    rig.crew.kill("detector")
    begun, ends = time.monotonic(), offsets(rig, IsolationLevel.READ_UNCOMMITTED)
    readable = offsets(rig, IsolationLevel.READ_COMMITTED)
    left = sum(readable[number] < end for number, end in ends.items())

    def are_readable() -> bool:
        reached = offsets(rig, IsolationLevel.READ_COMMITTED)
        return all(reached[number] >= end for number, end in ends.items())

    rig.until("readers go on", are_readable)
    seconds = time.monotonic() - begun
    rig.settle()
    rig.happened(transactions_left_open=left, kills=sum(rig.crew.ends.values()))
    rig.saw(readers_waited_ms=round(seconds * 1000), alerts=rig.alerts())
    rig.holds("readers wait for a start, not until the transaction times out", seconds < TRANSACTION_SECONDS)
    rig.holds("each alert is there once", rig.alert_copies() == 0)


def offsets(rig: Rig, isolation: IsolationLevel) -> dict[int, int]:
    """Return where each partition of the alerts ends for readers of a kind."""
    admin = AdminClient({"bootstrap.servers": rig.past_links.bootstrap, "log_level": 0})
    numbers = range(rig.topics.alerts_partitions)
    end: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # of a library that is typed in part
    asked = {TopicPartition(rig.topics.alerts, number): end for number in numbers}
    answers = admin.list_offsets(asked, isolation_level=isolation, request_timeout=ANSWER_SECONDS)
    return {at.partition: answer.result().offset for at, answer in answers.items()}


FAULTS = (
    Fault(26, "the end of a transaction arrives late", end_arrives_late, joins_all=False),
    Fault(27, "a transaction is left open", left_open),
)

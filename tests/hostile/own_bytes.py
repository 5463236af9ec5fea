"""Rows of bytes that look like ours: whatever is not whole, or not from where it should be, stops who reads it."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import zstandard

from services.detector import sealing
from services.detector.banks.detections import Detections
from services.detector.checkpoints import Checkpoint
from services.detector.sealing import Header, Seal
from services.detector.state import unpack
from services.detector.structs import FloatArray
from services.detector.watch import Watch
from shared.bookmarks import NOWHERE
from shared.detectors import DetectorSpec
from shared.errors import Corrupt, LogIdentity, Newer
from shared.events.block import decode, encode
from shared.log import Outgoing
from tests.hostile.table import refusals, row
from tests.kit.pipeline import Pipeline, monitored, traffic
from tests.kit.traffic import SPEC, Log, fold_of, folded, published_as, rows

LOAN = monitored(loan={})


def served(count: int) -> Pipeline:
    pipeline = Pipeline(LOAN, observations_partitions=1)
    for event, _ in traffic(count):
        pipeline.predict(**event)
    pipeline.run()
    return pipeline


class Failing:
    """A detector with a mistake in it."""

    name, version = "hddm_a", 1

    def update(self, values: FloatArray) -> Detections:
        raise ZeroDivisionError(f"of {len(values)}")


@row(42, "a record that makes a detector raise", "the detector is faulted, the others go on")
def failing_detector() -> str:
    detectors = [DetectorSpec(name="hddm_a", signal="amount")]
    log = Log(rows(600), published_as(msgspec.structs.replace(SPEC, detectors=detectors)))
    log.serve(0, 600, cut=200)
    fold = fold_of(log.stamped)
    folded(fold, log.records[:1])
    (watch,) = fold.watches.values()
    assert isinstance(watch, Watch)
    (followed,) = watch._advisory._followed
    followed._bank = Failing()  # type: ignore[assignment]
    folded(fold, log.records[1:])
    assert watch.faulted == {"hddm_a on amount": "ZeroDivisionError"}
    return "the detector is faulted, the others go on" if watch.rows_served == 600 else "lost"


@row(43, "a stranger's record in halves or observations", "2 of 2 refused: the service stops")
def strangers() -> str:
    pipelines = [served(3), served(3)]
    topics = pipelines[0].topics
    for pipeline, topic in zip(pipelines, (topics.halves, topics.observations), strict=True):
        pipeline.broker.append(Outgoing(topic, b"garbage", partition=0))
    return f"{refusals(*[pipeline.run for pipeline in pipelines], by=Corrupt)}: the service stops"


@row(44, "a forged sequence number", "1 of 1 refused: outputs are missing")
def forged() -> str:
    pipeline = served(3)
    pipeline.run()
    last = pipeline.broker.records(pipeline.topics.observations)[-1]
    block = decode(last)
    assert block.chain is not None
    value, headers = encode(block.chained(replace(block.chain, seq=1 << 40, prev=1 << 39)))
    pipeline.broker.append(Outgoing(last.topic, value, partition=0, headers=headers))
    return f"{refusals(pipeline.run, by=LogIdentity)}: outputs are missing"


@row(58, "a whole checkpoint of another partition, log or format", "4 of 4 refused")
def foreign_checkpoints() -> str:
    seal, pipeline = Seal("test"), served(3)
    sealed = seal.close(0, Checkpoint(3, b"state"))
    newer = sealed.replace(sealing._MAGIC, b"%s%d\n" % (sealing._NAME, sealing.VERSION + 1), 1)
    position = Checkpoint(1_000_000, b"state")
    pipeline.checkpoints.kept[0] = position.position, seal.close(0, position)
    pipeline.kill("detector")
    found = refusals(lambda: seal.open(1, sealed), lambda: seal.open(0, sealed[:-1]), by=Corrupt)
    assert found == "2 of 2 refused"
    assert refusals(lambda: seal.open(0, newer), by=Newer) == "1 of 1 refused"
    assert refusals(pipeline.run, by=LogIdentity) == "1 of 1 refused"
    return "4 of 4 refused"


@row(59, "a checkpoint that expands without end, and one that says so", "2 of 2 refused")
def bombs() -> str:
    def sealed(claimed: int) -> bytes:
        header = msgspec.json.encode(
            Header(partition=0, position=3, bookmark=NOWHERE, state_bytes=claimed, release="test", key=None)
        )
        content = zstandard.ZstdCompressor().compress(bytes(50_000_000))
        length = len(header).to_bytes(sealing._LENGTH_BYTES, "little")
        body = b"".join((sealing._MAGIC, length, header, content))
        return body + sealing._digest(body)

    seal = Seal("test")
    assert refusals(lambda: unpack("x", 1, np.zeros(9).tobytes()), by=Corrupt) == "1 of 1 refused"
    return refusals(lambda: seal.open(0, sealed(10)), lambda: seal.open(0, sealed(1 << 60)), by=Corrupt)

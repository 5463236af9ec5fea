"""Checkpoints that are half written, and bytes of them that change."""

from __future__ import annotations

import signal

from tests.faults.fault import Fault
from tests.faults.load import predictions_for
from tests.faults.rig import Rig

MORE = range(1_000_000, 1_002_000)  # requests after the checkpoint that is gone back to


def half_written(rig: Rig) -> None:
    """Redis has lost its checkpoint besides, so that only the older one of the topic is whole."""
    rig.start()
    rig.write()
    rig.settle()
    rig.crew.retire("detector")
    before = rig.positions()
    rig.start("detector", fail={"detector": ["detector.before_manifest:exit@1"]})
    rig.write_events(predictions_for(rig.topics, MORE))
    rig.settle()
    detector = rig.crew.members["detector"]
    detector.send(signal.SIGTERM)  # its last checkpoint goes to the topic, too
    code = detector.wait()
    after = rig.positions()
    rig.redis.delete(*checkpoint_keys(rig))
    rig.settle()
    rig.happened(kills=int(code == -signal.SIGKILL), records_gone_back=sum(after.values()) - sum(before.values()))


def changed(rig: Rig) -> None:
    rig.start()
    rig.write()
    rig.settle()
    rig.crew.retire("detector")
    keys = checkpoint_keys(rig)
    for key in keys:
        content = bytearray(rig.redis.get(key))
        content[rig.dice.randrange(len(content) // 2, len(content))] ^= 1 << rig.dice.randrange(8)
        rig.redis.set(key, bytes(content))
    rig.write_events(predictions_for(rig.topics, MORE))
    rig.start("detector")
    rig.settle()
    passed_over = rig.crew.count("detector", "detector_checkpoints_passed_over_total")
    rig.happened(bytes_changed=len(keys), checkpoints_passed_over=passed_over)


def checkpoint_keys(rig: Rig) -> list[bytes]:
    """Return where Redis has the checkpoints."""
    return list(rig.redis.scan_iter(f"driftline:{rig.settings.installation}:ck:*"))


FAULTS = (
    Fault(6, "kill -9 of the detector amid a checkpoint in the topic", half_written, joins_all=False),
    Fault(37, "bytes of a checkpoint change", changed, joins_all=False),
)

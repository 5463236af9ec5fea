"""A shift is found at the same row, whatever could not be read before it."""

from __future__ import annotations

from tests.hostile.malformed import STEADY, found


def test_a_hundred_thousand_malformed_events_delay_no_detection() -> None:
    without = found(0)

    ((_, kind, culprits, onset, detected), *_) = without
    assert (kind, culprits) == ("data_drift", ("amount",))
    assert STEADY - 50 < onset <= detected < STEADY + 300
    assert found(100_000) == without

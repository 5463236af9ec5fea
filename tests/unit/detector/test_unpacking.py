"""What comes out of a frame of Zstandard, whatever the frame says of itself."""

from __future__ import annotations

import pytest
import zstandard

from services.detector.unpacking import unpacked
from shared.errors import Corrupt

STATE = bytes(range(256)) * 9_000  # several pieces
HUGE = b"\x28\xb5\x2f\xfd\xe0" + (1 << 62).to_bytes(8, "little") + b"\x01\x00\x00"  # one empty block, of 2^62 bytes


def test_what_was_packed_comes_out() -> None:
    assert unpacked(zstandard.ZstdCompressor().compress(STATE), len(STATE)) == STATE


@pytest.mark.parametrize("most", [0, 1, len(STATE) - 1])
def test_no_more_comes_out_than_is_wanted(most: int) -> None:
    with pytest.raises(Corrupt, match=f"more than {most} bytes come out of it"):
        unpacked(zstandard.ZstdCompressor().compress(STATE), most)


@pytest.mark.parametrize("content", [b"not zstandard", HUGE])
def test_what_a_frame_says_of_its_size_is_not_believed(content: bytes) -> None:
    with pytest.raises(Corrupt, match="does not unpack"):
        unpacked(content, 1 << 62)

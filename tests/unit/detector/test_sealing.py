"""Sealed checkpoints are read back to the letter, or refused with a reason."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
import zstandard

from services.detector.checkpoints import Checkpoint
from services.detector.sealing import MAX_STATE_BYTES, Seal
from shared.bookmarks import Bookmark
from shared.errors import Corrupt, Newer

STATE = bytes(range(256)) * 40
BOOKMARK = Bookmark("id", 6, 2**32 - 1, 3)
SEAL = Seal("1.2.3")


def forged(magic: bytes = b"driftline-checkpoint/2\n", content: bytes | None = None, **said: object) -> bytes:
    """Return a checkpoint with a right checksum, of a header and a content that may be wrong."""
    usual: dict[str, object] = {"partition": 0, "position": 7, "bookmark": BOOKMARK, "release": "1.2.3", "key": None}
    usual["state_bytes"] = len(STATE)
    header = msgspec.json.encode(usual | said)
    packed = zstandard.ZstdCompressor().compress(STATE) if content is None else content
    body = magic + len(header).to_bytes(4, "little") + header + packed
    return body + hashlib.blake2b(body, digest_size=16).digest()


@pytest.mark.parametrize("state", [b"", b"x", STATE, STATE * 500], ids=["empty", "one byte", "small", "large"])
def test_what_was_sealed_is_read_back(state: bytes) -> None:
    assert SEAL.open(3, SEAL.close(3, Checkpoint(2**62, state, BOOKMARK))) == Checkpoint(2**62, state, BOOKMARK)


def test_equal_states_are_sealed_equally() -> None:
    assert SEAL.close(0, Checkpoint(7, STATE, BOOKMARK)) == Seal("1.2.3").close(0, Checkpoint(7, STATE, BOOKMARK))


def test_another_release_reads_it() -> None:
    assert Seal("2.0.0").open(0, SEAL.close(0, Checkpoint(7, STATE, BOOKMARK))) == Checkpoint(7, STATE, BOOKMARK)


def test_a_forgery_that_says_the_usual_is_read() -> None:
    assert SEAL.open(0, forged()) == Checkpoint(7, STATE, BOOKMARK)


@pytest.mark.parametrize("at", [0, 10, 30, 60, 150, -20, -1])
def test_a_flipped_bit_anywhere_is_seen(at: int) -> None:
    sealed = bytearray(SEAL.close(0, Checkpoint(7, STATE, BOOKMARK)))
    sealed[at] ^= 1

    with pytest.raises(Corrupt):
        SEAL.open(0, bytes(sealed))


@pytest.mark.parametrize("length", [0, 1, 22, 23, 60, 200])
def test_a_checkpoint_that_was_cut_is_seen(length: int) -> None:
    with pytest.raises(Corrupt):
        SEAL.open(0, SEAL.close(0, Checkpoint(7, STATE, BOOKMARK))[:length])


@pytest.mark.parametrize(
    ("sealed", "message"),
    [
        (forged(partition=1), "of partition 1"),
        (forged(position="7"), "header does not read"),
        (forged(more=1), "header does not read"),
        (forged(content=b"not zstandard"), "does not unpack"),
        (forged(content=zstandard.ZstdCompressor().compress(STATE)[:-3]), "its header says"),
        (forged(state_bytes=len(STATE) - 1), f"more than {len(STATE) - 1} bytes"),
        (forged(state_bytes=len(STATE) + 1), f"not the {len(STATE) + 1} bytes"),
        (forged(state_bytes=MAX_STATE_BYTES + 1), f"{MAX_STATE_BYTES} are allowed"),
        (forged(magic=b"driftline-checkpoint/0\n"), "does not begin as a checkpoint"),
        (forged(magic=b"driftline-checkpoint/two\n"), "does not begin as a checkpoint"),
        (forged(magic=b"99\n"), "does not begin as a checkpoint"),
    ],
)
def test_what_cannot_be_right_is_corrupt(sealed: bytes, message: str) -> None:
    with pytest.raises(Corrupt, match=message):
        SEAL.open(0, sealed)


def test_a_bomb_is_unpacked_no_further_than_its_header_says() -> None:
    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(1 << 28))

    assert len(bomb) < 20_000
    with pytest.raises(Corrupt, match="more than 1000 bytes come out of it"):
        SEAL.open(0, forged(content=bomb, state_bytes=1_000))


def test_a_frame_that_asks_for_much_memory_is_refused() -> None:
    wide = zstandard.ZstdCompressionParameters(window_log=31, enable_ldm=True)
    content = zstandard.ZstdCompressor(compression_params=wide).compressobj().compress(STATE)

    with pytest.raises(Corrupt):
        SEAL.open(0, forged(content=content))


def test_a_later_format_is_refused_as_such() -> None:
    with pytest.raises(Newer, match="format 3, this release reads up to 2"):
        SEAL.open(0, forged(magic=b"driftline-checkpoint/3\n"))

"""Whole bytes are read; whatever is made of them is read or refused in words. `make fuzz` goes on where this ends."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest

from tests.hostile.decoders import DECODERS, REFUSALS

CHANGES = 1_500  # for each decoder
WITHOUT_MISTAKE = 4  # the smallest configuration, and those of the recorded data


def changed(whole: bytes, other: bytes, dice: Random) -> bytes:
    """Return bytes of which a few pieces are overwritten, cut out, repeated, or come from other whole bytes."""
    content = bytearray(whole)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(content) + 1)
        length = dice.choice([1, 1, 1, 2, 4, 8, 32])
        match dice.randrange(5):
            case 0:
                content[at : at + length] = dice.randbytes(length)
            case 1:
                del content[at : at + length]
            case 2:
                content[at:at] = content[at : at + length] * dice.randint(1, 3)
            case 3:
                content[at : at + length] = other[(start := dice.randrange(len(other) + 1)) : start + length]
            case _:
                del content[at:]
    return bytes(content)


@pytest.mark.parametrize("name", DECODERS)
def test_whole_bytes_are_read(name: str) -> None:
    decoder = DECODERS[name]()
    read = 0

    for whole in decoder.seeds:
        with suppress(*REFUSALS):  # of configurations with a mistake; a fuzzer begins with those, too
            decoder.read(whole)
            read += 1

    assert read == (len(decoder.seeds) if name != "configuration" else WITHOUT_MISTAKE)


@pytest.mark.parametrize("name", DECODERS)
def test_what_is_made_of_whole_bytes_is_read_or_refused(name: str) -> None:
    decoder, dice = DECODERS[name](), Random(name)

    for _ in range(CHANGES):
        decoder.meet(changed(dice.choice(decoder.seeds), dice.choice(decoder.seeds), dice))
    decoder.meet(b"")

"""Bytes of ours read back as they were, or are Corrupt or Newer; nothing else is ever raised."""

from __future__ import annotations

from contextlib import suppress

import google_crc32c
import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.detector.checkpoints import Checkpoint
from services.detector.sealing import Seal
from services.detector.state import MAGIC, pack, unpack
from services.joiner.meta import Meta
from shared.bookmarks import Bookmark
from shared.definition import Catalogue
from shared.errors import Corrupt, Newer
from shared.events.block import Block, BlockKind, Chain, Stamp, decode, encode
from shared.events.halt import Halt
from shared.events.news import UnknownFeatures
from shared.log import Headers, Record

NUMBERS = st.integers(0, 1 << 62)
TEXTS = st.text(max_size=12)
VALUES = (
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.floats() | TEXTS | st.binary(max_size=12)
)
FIELDS = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))
ARRAYS = st.sampled_from(["<f8", "<i8", "<u4", "|b1", "|u1"]).flatmap(
    lambda kind: st.lists(st.integers(0, 1), max_size=9).map(lambda values: np.array(values, kind))
)
SERVED = Block(
    BlockKind.SERVED,
    "loan",
    "v1",
    Stamp(7, "c0ffee", 86_400_000, "0a0b"),
    pa.record_batch(
        {"id": pa.array([b"\1" * 16], pa.binary(16)), "f:age": [41.5], "f:x": pa.array(["a"]).dictionary_encode()}
    ),
    Chain(3, 9 << 16, -1),
)


def signed(value: bytes, headers: Headers) -> Record:
    """Return a record whose checksum is right."""
    crc = int(google_crc32c.value(value))
    for name, content in headers:
        crc = int(google_crc32c.extend(crc, name.encode() + b"=" + content + b"\n"))
    return Record("halves", 0, 1, 0, None, value, (*headers, ("crc32c", b"%08x" % crc)))


def reads(record: Record) -> Block | None:
    with suppress(Corrupt, Newer):
        return decode(record)
    return None


@given(kind=st.sampled_from(BlockKind), model=TEXTS, version=TEXTS, horizon=NUMBERS, seq=NUMBERS, why=TEXTS)
def test_a_block_comes_back(kind: BlockKind, model: str, version: str, horizon: int, seq: int, why: str) -> None:
    stamp, chain = Stamp(seq, model, horizon, version), Chain(1, seq, -1)
    for block in (
        Block(kind, model, version, stamp, SERVED.batch, chain),
        Block(BlockKind.TICK, chain=chain, halt=Halt(model, 3, seq, why, is_over=True)),
        Block(BlockKind.TICK, chain=chain, news=UnknownFeatures(model, [why], more=seq)),
    ):
        value, headers = encode(block)
        assert decode(Record("halves", 0, 1, 0, None, value, headers)) == block


@given(place=st.integers(0, 10**6), byte=st.integers(1, 255))
def test_a_block_with_one_other_byte_is_corrupt(place: int, byte: int) -> None:
    value, headers = encode(SERVED)
    at = place % len(value)

    with pytest.raises(Corrupt):
        decode(Record("halves", 0, 1, 0, None, value[:at] + bytes([value[at] ^ byte]) + value[at + 1 :], headers))


@given(
    names=st.lists(st.sampled_from([name for name, _ in encode(SERVED)[1]] + ["halt", "news", "x"]), max_size=12),
    contents=st.lists(st.binary(max_size=8) | st.integers().map(lambda n: b"%d" % n), min_size=12, max_size=12),
    value=st.binary(max_size=40),
    is_signed=st.booleans(),
)
def test_a_strangers_record_is_corrupt_or_a_block(
    names: list[str], contents: list[bytes], value: bytes, is_signed: bool
) -> None:
    headers = tuple(zip(names, contents, strict=False))
    reads(signed(value, headers) if is_signed else Record("halves", 0, 1, 0, None, value, headers))


@given(place=st.integers(0, 8), content=st.binary(max_size=12) | st.integers().map(lambda n: b"%d" % n))
def test_a_header_that_was_changed_and_signed_is_corrupt_or_a_block(place: int, content: bytes) -> None:
    value, headers = encode(SERVED)
    kept = list(headers[:-1])
    kept[place] = (kept[place][0], content)

    reads(signed(value, tuple(kept)))


@given(fields=st.dictionaries(TEXTS, FIELDS | ARRAYS, max_size=4))
def test_a_state_comes_back(fields: dict[str, object]) -> None:
    packed = pack("bank", 3, fields)  # type: ignore[arg-type]  # what strategies draw

    assert pack("bank", 3, unpack("bank", 3, packed)) == packed


@given(body=st.binary(max_size=60) | FIELDS.map(msgspec.msgpack.encode), has_header=st.booleans())
def test_a_strangers_state_is_corrupt(body: bytes, has_header: bool) -> None:
    whole = (MAGIC if has_header else b"") + body
    for data in (whole, whole + int(google_crc32c.value(whole)).to_bytes(4, "little")):
        with pytest.raises(Corrupt):
            unpack("bank", 3, data)


@given(
    fields=st.dictionaries(
        TEXTS, st.binary(max_size=30).map(lambda data: msgspec.msgpack.Ext(1, data)), min_size=1, max_size=3
    )
)
def test_an_array_that_is_none_is_corrupt_or_an_array(fields: dict[str, object]) -> None:
    body = MAGIC + msgspec.msgpack.encode(["bank", 3, fields])
    with suppress(Corrupt):
        unpack("bank", 3, body + int(google_crc32c.value(body)).to_bytes(4, "little"))


@given(state=st.binary(max_size=200), position=NUMBERS, place=st.integers(0, 10**6), other=st.binary(max_size=9))
def test_a_sealed_checkpoint_comes_back_or_is_refused(state: bytes, position: int, place: int, other: bytes) -> None:
    seal, checkpoint = Seal("test"), Checkpoint(position, state, Bookmark("topic"))
    sealed = seal.close(2, checkpoint)
    at = place % len(sealed)
    changed = sealed[:at] + other + sealed[at + len(other) :]

    assert seal.open(2, sealed) == checkpoint
    for data in (other, changed):
        with suppress(Corrupt, Newer):
            assert seal.open(2, data) == checkpoint


@given(body=st.binary(max_size=60) | FIELDS.map(msgspec.msgpack.encode))
def test_a_strangers_meta_of_the_view_is_refused(body: bytes) -> None:
    for packed in (body, b"\x02" + body):
        with suppress(Corrupt, Newer):
            Meta.unpack(packed)


@given(
    key=st.binary(max_size=20)
    | st.builds("{}/{}/{}".format, TEXTS, st.sampled_from(["definition", "baseline", "resumed"]), TEXTS).map(
        str.encode
    ),
    value=st.binary(max_size=40)
    | FIELDS.filter(lambda tree: not isinstance(tree, bytes)).map(lambda tree: repr(tree).encode()),
)
def test_a_strangers_control_record_is_corrupt_or_skipped(key: bytes, value: bytes) -> None:
    with suppress(Corrupt):
        Catalogue().absorb(Record("control", 0, 0, 0, key, value))

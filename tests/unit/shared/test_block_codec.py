"""Blocks read back as they were written, and nothing else reads as a block."""

from __future__ import annotations

from dataclasses import replace

import google_crc32c
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import Corrupt, DriftlineError, Newer
from shared.events.block import FOLD, MAGIC, Block, BlockKind, Chain, Stamp, decode, encode
from shared.events.halt import Halt, decode_halt
from shared.events.news import News, TakenUp, UnknownFeatures, decode_news
from shared.log import Headers, Record

STAMP = Stamp(config_version=7, config_hash="c0ffee", horizon_ms=86_400_000, id_key="0a0b0c0d")
BATCH = pa.record_batch(
    {
        "id": pa.array([b"\x01" * 16, b"\x02" * 16], pa.binary(16)),
        "ts": pa.array([1, 2], pa.int64()),
        "f:age": pa.array([float("nan"), 41.5], pa.float64()),
        "f:region": pa.array(["north", None]).dictionary_encode(),
        "flags:age": pa.array([4, 0], pa.uint8()),
    }
)
SERVED = Block(BlockKind.SERVED, "car_loan", "v1", STAMP, BATCH, Chain(shard=3, seq=(9 << 16) | 1, prev=-1))
TICK = Block(BlockKind.TICK)
HEADERS = [name for name, _ in encode(SERVED)[1]]


def record(value: bytes | None, headers: Headers) -> Record:
    return Record("driftline.observations", 1, 42, 0, None, value, headers)


def signed(value: bytes, headers: Headers) -> Record:
    """Return a record whose checksum is right, whatever it says."""
    crc = int(google_crc32c.value(value))
    for name, content in headers:
        crc = int(google_crc32c.extend(crc, name.encode() + b"=" + content + b"\n"))
    return record(value, (*headers, ("crc32c", b"%08x" % crc)))


def test_a_halt_comes_back_and_one_that_does_not_read_is_corrupt() -> None:
    halted = replace(TICK, halt=Halt("predictions", 3, 17, "too many", is_over=True)).chained(Chain(0, 5, 4))
    value, headers = encode(halted)
    assert decode(record(value, headers)) == halted

    with pytest.raises(Corrupt, match="not a halt"):
        decode_halt(b"[1]")


@pytest.mark.parametrize("news", [UnknownFeatures("loan", ["hat", "shoe"], more=3), TakenUp("loan", 17, "abc")])
def test_news_come_back_and_such_that_do_not_read_are_corrupt(news: News) -> None:
    telling = replace(TICK, news=news).chained(Chain(0, 5, 4))
    assert decode(record(*encode(telling))) == telling

    with pytest.raises(Corrupt, match="no news"):
        decode_news(b"[1]")


@pytest.mark.parametrize(
    "block",
    [SERVED, TICK, replace(SERVED, chain=None, kind=BlockKind.PREDICTION), TICK.chained(Chain(0, 5, 4))],
    ids=["served", "tick", "half", "chained tick"],
)
def test_a_block_reads_back_as_it_was_written(block: Block) -> None:
    decoded = decode(record(*encode(block)))

    assert replace(decoded, batch=None) == replace(block, batch=None)
    assert decoded.rows == block.rows
    if block.batch is not None and decoded.batch is not None:
        assert decoded.batch.schema == block.batch.schema
        assert str(decoded.batch.to_pydict()) == str(block.batch.to_pydict())


def test_a_tick_has_no_value() -> None:
    value, headers = encode(TICK)

    assert value == b""
    assert decode(record(None, headers)) == TICK


def test_equal_blocks_are_equal_bytes() -> None:
    assert encode(SERVED) == encode(SERVED)


@settings(max_examples=300)
@given(st.data())
def test_no_bit_of_a_value_may_differ(data: st.DataObject) -> None:
    value, headers = encode(SERVED)
    place = data.draw(st.integers(0, len(value) * 8 - 1))
    broken = bytearray(value)
    broken[place // 8] ^= 1 << place % 8

    with pytest.raises(Corrupt, match=r"driftline\.observations-1@42: checksum differs"):
        decode(record(bytes(broken), headers))


@given(st.integers(0, len(encode(SERVED)[0]) - 1))
def test_a_value_that_was_cut_is_corrupt(length: int) -> None:
    value, headers = encode(SERVED)

    with pytest.raises(Corrupt, match="checksum differs"):
        decode(record(value[:length], headers))


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_is_missing_is_corruption(name: str) -> None:
    value, headers = encode(SERVED)

    with pytest.raises(Corrupt):
        decode(record(value, tuple(header for header in headers if header[0] != name)))


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_differs_is_corruption(name: str) -> None:
    value, headers = encode(SERVED)

    with pytest.raises((Corrupt, Newer)):
        decode(record(value, tuple((key, content + b"0" if key == name else content) for key, content in headers)))


def test_a_header_that_was_added_is_corruption() -> None:
    value, headers = encode(SERVED)

    with pytest.raises(Corrupt, match="checksum differs"):
        decode(record(value, (*headers, ("note", b"x"))))


def test_the_block_of_another_record_does_not_pass_under_these_headers() -> None:
    value, _ = encode(replace(SERVED, batch=BATCH.slice(0, 1)))
    _, headers = encode(SERVED)

    with pytest.raises(Corrupt, match="checksum differs"):
        decode(record(value, headers))


@pytest.mark.parametrize(("magic", "refusal"), [(b"driftline/2", Newer), (b"driftline/0", Corrupt), (b"x", Corrupt)])
def test_another_codec_is_named(magic: bytes, refusal: type[DriftlineError]) -> None:
    value, headers = encode(SERVED)

    with pytest.raises(refusal, match=rf"codec {magic!r}, this release reads b'driftline/1'"):
        decode(record(value, (("magic", magic), *headers[1:])))


def test_an_output_of_a_later_fold_is_newer_and_one_of_an_earlier_fold_reads() -> None:
    later, earlier = (replace(SERVED, chain=Chain(3, 9 << 16, -1, fold)) for fold in (FOLD + 1, FOLD - 1))

    with pytest.raises(Newer, match=f"observations-1@42: of fold {FOLD + 1}, this release knows up to {FOLD}: start"):
        decode(record(*encode(later)))
    assert decode(record(*encode(earlier))).chain == earlier.chain


@pytest.mark.parametrize(
    ("chain", "follows"),
    [
        (Chain(0, 9, 5, 1), True),
        (Chain(0, 9, 4, 1), False),
        (Chain(0, 9, 4, 2), True),
        (Chain(0, 9, 6, 2), False),
        (Chain(0, 9, 6, 1), False),
    ],
    ids=["its last", "before it", "before it, of another fold", "a loss amid another fold", "a loss"],
)
def test_an_output_follows_the_last_one_or_one_that_another_fold_repeated(chain: Chain, follows: bool) -> None:
    assert chain.follows(5, 1) is follows


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("kind", b"rumour"),
        ("model", b"\xff"),
        ("config_version", b"seven"),
        ("horizon_ms", b""),
        ("rows", b"3"),
        ("rows", b"x"),
        ("seq", b"1.5"),
    ],
)
def test_a_header_without_sense_is_corrupt_even_when_signed(name: str, content: bytes) -> None:
    value, headers = encode(SERVED)

    with pytest.raises(Corrupt):
        decode(signed(value, tuple((key, content if key == name else was) for key, was in headers[:-1])))


@pytest.mark.parametrize(
    "value",
    [b"x", b"\xff\xff\xff\xff", b"\xff" * 64, encode(SERVED)[0][:200], bytes(64)],
    ids=["text", "continuation", "ones", "half a stream", "zeros"],
)
def test_a_value_that_is_no_batch_is_corrupt_even_when_signed(value: bytes) -> None:
    _, headers = encode(SERVED)

    with pytest.raises(Corrupt):
        decode(signed(value, headers[:-1]))


def test_a_record_of_a_stranger_is_no_block() -> None:
    with pytest.raises(Corrupt, match="not a block"):
        decode(record(b'{"hello": 1}', ()))


def test_headers_start_with_the_codec_s_name() -> None:
    assert encode(TICK)[1][0] == ("magic", MAGIC)

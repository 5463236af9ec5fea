"""Recorded events in the order of a backtest: by `ts`, predictions first on ties, then file order."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
import zstandard

from shared.errors import ConfigurationError, Malformed
from shared.unreadable import UNREADABLE
from shared.values import parse_ts

CHUNK_BYTES = 1 << 17


class Line(NamedTuple):
    """One line of a file. `offset` is its 0-based line number, which stands for the Kafka offset."""

    ts_ms: int
    is_label: bool
    offset: int
    value: bytes


class _Dated(msgspec.Struct, frozen=True):
    ts: str | None = None


def merged(predictions: Path, ground_truth: Path) -> list[Line]:
    """Return both files' lines in order. A line without a readable `ts` keeps the time of the line before it.

    Raises:
        ConfigurationError: a file cannot be read.
    """
    return sorted([*_dated(predictions, is_label=False), *_dated(ground_truth, is_label=True)], key=lambda x: x[:3])


def _dated(path: Path, *, is_label: bool) -> Iterator[Line]:
    decode = msgspec.json.Decoder(_Dated).decode
    ts_ms = 0
    for offset, value in enumerate(_lines(path)):
        try:
            ts = decode(value).ts
            ts_ms = ts_ms if ts is None else parse_ts(ts)
        except (*UNREADABLE, Malformed):
            pass  # the consumer gives it its fate; here it only needs a place in the order
        yield Line(ts_ms, is_label, offset, value)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as raw:
            stream: Iterable[bytes] = raw
            if path.suffix == ".zst":
                stream = _split(_decompressed(raw))
            elif path.suffix == ".gz":
                stream = gzip.GzipFile(fileobj=raw)
            for line in stream:
                if line.strip():
                    yield line.rstrip(b"\r\n")
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as exc:
        raise ConfigurationError(str(path), f"cannot be read: {exc}") from exc


def _decompressed(raw: BinaryIO) -> Iterator[bytes]:
    """Yield the content of every Zstandard frame; raises EOFError in the middle of one."""
    decompressor, frame = zstandard.ZstdDecompressor(), None
    while chunk := raw.read(CHUNK_BYTES):
        while chunk:
            frame = frame or decompressor.decompressobj()
            yield frame.decompress(chunk)
            chunk, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    if frame is not None:
        raise EOFError("Compressed file ended before the end of a frame was reached")


def _split(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    yield rest

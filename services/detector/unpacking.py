"""Unpacks what was packed with Zstandard, piece by piece: what a frame says of its size is not believed."""

from __future__ import annotations

import zstandard

from shared.errors import Corrupt

_PIECE = 1 << 20  # unpacked at a time
_MAX_WINDOW = 1 << 27  # what unpacking may hold beside what it has unpacked


def unpacked(content: bytes, most: int) -> bytes:
    """Return what is packed in one frame.

    Raises:
        Corrupt: it is none, or more than `most` bytes come out of it.
    """
    found = bytearray()
    try:
        with zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).stream_reader(content) as stream:
            while piece := stream.read(min(_PIECE, most + 1 - len(found))):
                found += piece
    except zstandard.ZstdError as exc:
        raise Corrupt(f"it does not unpack ({exc})") from exc
    if len(found) > most:
        raise Corrupt(f"more than {most} bytes come out of it")
    return bytes(found)

"""A checkpoint as bytes that only what wrote it, or a later release, takes for one.

    magic and version | length of the header | header (JSON) | state, compressed and maybe encrypted | BLAKE2b of it all

The header says what the state belongs to, and how large it may become: nothing is unpacked beyond that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec
import zstandard

from services.detector.checkpoints import Checkpoint
from services.detector.unpacking import unpacked
from shared.bookmarks import Bookmark
from shared.errors import ConfigurationError, Corrupt, Newer
from shared.unreadable import UNREADABLE
from shared.versions import version_after

VERSION = 2
MAX_STATE_BYTES = 1 << 30
KEY_SETTING = "DRIFTLINE_CHECKPOINT_KEY"

_NAME = b"driftline-checkpoint/"
_MAGIC = _NAME + b"%d\n" % VERSION
_LENGTH_BYTES = 4
_DIGEST_BYTES = 16
_LEVEL = 1  # a checkpoint is written every few seconds


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a sealed checkpoint says of itself."""

    partition: int
    position: int
    bookmark: Bookmark
    state_bytes: int
    release: str
    key: str | None  # which one it is encrypted with


class Cipher(Protocol):
    """Encrypts with one key."""

    key: str  # names it, and gives nothing away

    def encrypt(self, content: bytes, header: bytes) -> bytes:
        """Return `content` so that only this key reads it, and only beside this header."""
        ...

    def decrypt(self, content: bytes, header: bytes) -> bytes:
        """Return what was encrypted.

        Raises:
            Corrupt: it was not encrypted with this key, or not beside this header.
        """
        ...


class Seal:
    """Closes and opens checkpoints of one release.

    ciphers: the first one encrypts, and each of them may have; None is no encryption.
    """

    def __init__(self, release: str, ciphers: Sequence[Cipher | None] = (None,)) -> None:
        self._release = release
        self._cipher = ciphers[0]
        self._known = {_key(cipher): cipher for cipher in ciphers}

    def close(self, partition: int, checkpoint: Checkpoint) -> bytes:
        """Return a checkpoint's bytes."""
        header = msgspec.json.encode(
            Header(
                partition=partition,
                position=checkpoint.position,
                bookmark=checkpoint.bookmark,
                state_bytes=len(checkpoint.state),
                release=self._release,
                key=_key(self._cipher),
            )
        )
        content = zstandard.ZstdCompressor(level=_LEVEL).compress(checkpoint.state)
        if self._cipher is not None:
            content = self._cipher.encrypt(content, header)
        body = b"".join((_MAGIC, len(header).to_bytes(_LENGTH_BYTES, "little"), header, content))
        return body + _digest(body)

    def open(self, partition: int, sealed: bytes) -> Checkpoint:
        """Return the checkpoint in `sealed`.

        Raises:
            Corrupt: the bytes are not whole, or of another partition.
            Newer: a later release closed it.
            ConfigurationError: it needs another key.
        """
        header, content = _parts(sealed)
        known = _header(header)
        if known.partition != partition:
            raise Corrupt(f"it is a checkpoint of partition {known.partition}")
        if known.state_bytes > MAX_STATE_BYTES:
            raise Corrupt(f"its state would take {known.state_bytes} bytes, {MAX_STATE_BYTES} are allowed")
        if known.key not in self._known:
            raise ConfigurationError(KEY_SETTING, _other_key(known.key, self._known))
        cipher = self._known[known.key]
        if cipher is not None:
            content = cipher.decrypt(content, header)
        return Checkpoint(known.position, _unpacked(content, known.state_bytes), known.bookmark)


def _parts(sealed: bytes) -> tuple[bytes, bytes]:
    """Return header and content."""
    if not sealed.startswith(_MAGIC):
        name, _, rest = sealed[:40].partition(b"\n")
        version = version_after(_NAME, name)
        if rest and version is not None and version > VERSION:
            raise Newer(f"it has format {version}, this release reads up to {VERSION}")
        raise Corrupt("it does not begin as a checkpoint")
    body = sealed[:-_DIGEST_BYTES]
    if _digest(body) != sealed[-_DIGEST_BYTES:]:
        raise Corrupt("its checksum differs")
    begin = len(_MAGIC) + _LENGTH_BYTES
    end = begin + int.from_bytes(body[len(_MAGIC) : begin], "little")
    return body[begin:end], body[end:]


def _header(header: bytes) -> Header:
    try:
        return msgspec.json.decode(header, type=Header)
    except UNREADABLE as exc:
        raise Corrupt(f"its header does not read ({exc})") from exc


def _unpacked(content: bytes, size: int) -> bytes:
    state = unpacked(content, size)
    if len(state) != size:
        raise Corrupt(f"its state has not the {size} bytes that its header says")
    return state


def _key(cipher: Cipher | None) -> str | None:
    return None if cipher is None else cipher.key


def _other_key(needed: str | None, known: Iterable[str | None]) -> str:
    if needed is None:
        return "a checkpoint is not encrypted; to take it, append `,none` to the key for once"
    given = [key for key in known if key is not None]
    if not given:
        return f"is not set, and a checkpoint is encrypted with key {needed}"
    return (
        f"names key {', '.join(given)}, and a checkpoint is encrypted with key {needed}; append that one, after a comma"
    )


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()

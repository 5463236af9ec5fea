"""Checkpoints that only their keys read: AES-256-GCM."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.detector.sealing import KEY_SETTING, Cipher
from shared.adapters.credentials import reveal
from shared.errors import ConfigurationError, Corrupt
from shared.settings import Settings

KEY_BYTES = 32
OPEN = "none"  # in place of a key: a checkpoint that is not encrypted
_NONCE_BYTES = 12
_NAME_BYTES = 4


class AesGcm:
    """One key. Its name is a digest of it, which tells it from others and nothing else."""

    def __init__(self, key: bytes) -> None:
        self.key = hashlib.blake2b(key, digest_size=_NAME_BYTES, person=b"checkpoint-key").hexdigest()
        self._cipher = AESGCM(key)

    def encrypt(self, content: bytes, header: bytes) -> bytes:
        """Return a new nonce and what AES makes of `content` with it; `header` is vouched for, too."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, header)

    def decrypt(self, content: bytes, header: bytes) -> bytes:
        """Return what was encrypted."""
        try:
            return self._cipher.decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], header)
        except (InvalidTag, ValueError) as exc:
            raise Corrupt("it was not encrypted with the key that it names, or was changed since") from exc


def ciphers(settings: Settings) -> Sequence[Cipher | None]:
    """Return what the setting names, in its order; what is not encrypted where it names nothing.

    Raises:
        ConfigurationError: it names something that is no key; never repeats it.
    """
    text = reveal(settings.checkpoint_secret)
    return [_cipher(part.strip()) for part in text.split(",")] if text else [None]


def _cipher(text: str) -> AesGcm | None:
    if text == OPEN:
        return None
    try:
        key = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            KEY_SETTING, f"a key is {KEY_BYTES} bytes in base64 or hexadecimal; `openssl rand -base64 32` makes one"
        )
    return AesGcm(key)

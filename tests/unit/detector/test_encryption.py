"""Checkpoints that only their keys read."""

from __future__ import annotations

import base64

import pytest

from services.detector.adapters.encryption import AesGcm, ciphers
from services.detector.checkpoints import Checkpoint
from services.detector.sealing import Seal
from shared.bookmarks import Bookmark
from shared.errors import ConfigurationError, Corrupt
from shared.settings import Settings

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
CHECKPOINT = Checkpoint(7, b"counts of a column" * 100, Bookmark("topic"))


def seal(text: str) -> Seal:
    """Return the seal of a release that has this setting."""
    return Seal("1.2.3", ciphers(Settings(checkpoint_key=text)))


@pytest.mark.parametrize(
    "text",
    [OLD.hex(), OLD.hex().upper(), base64.b64encode(OLD).decode(), f"{OLD.hex()}, {NEW.hex()}", f"{OLD.hex()},none"],
)
def test_what_a_key_has_sealed_it_opens_however_it_is_written(text: str) -> None:
    sealed = seal(OLD.hex()).close(0, CHECKPOINT)

    assert seal(text).open(0, sealed) == CHECKPOINT
    assert b"counts" not in sealed
    assert OLD not in sealed


def test_equal_states_are_encrypted_differently() -> None:
    assert seal(OLD.hex()).close(0, CHECKPOINT) != seal(OLD.hex()).close(0, CHECKPOINT)


def test_another_key_is_refused_by_name() -> None:
    sealed = seal(OLD.hex()).close(0, CHECKPOINT)
    names = [AesGcm(key).key for key in (NEW, OLD)]

    with pytest.raises(ConfigurationError) as refusal:
        seal(NEW.hex()).open(0, sealed)

    assert str(refusal.value) == (
        f"DRIFTLINE_CHECKPOINT_KEY: names key {names[0]}, and a checkpoint is encrypted with key {names[1]}; "
        "append that one, after a comma"
    )


def test_no_key_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=f"is not set, and a checkpoint is encrypted with key {AesGcm(OLD).key}"
    ):
        seal("").open(0, seal(OLD.hex()).close(0, CHECKPOINT))


def test_a_checkpoint_that_is_not_encrypted_is_taken_only_where_that_is_said() -> None:
    sealed = seal("").close(0, CHECKPOINT)

    with pytest.raises(ConfigurationError, match="append `,none` to the key for once"):
        seal(OLD.hex()).open(0, sealed)
    assert seal(f"{OLD.hex()},none").open(0, sealed) == CHECKPOINT


def test_the_header_is_vouched_for() -> None:
    cipher = AesGcm(OLD)
    content = cipher.encrypt(b"state", b"header")

    assert cipher.decrypt(content, b"header") == b"state"
    for changed, header in ((content, b"another"), (content[:-1], b"header"), (b"", b"header")):
        with pytest.raises(Corrupt, match="not encrypted with the key"):
            cipher.decrypt(changed, header)


@pytest.mark.parametrize("text", ["secret", OLD.hex()[:-1], OLD.hex() + "0", base64.b64encode(OLD[:-1]).decode(), ","])
def test_what_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError, match="DRIFTLINE_CHECKPOINT_KEY: a key is 32 bytes") as refusal:
        seal(text)

    assert text == "," or text not in str(refusal.value)


def test_a_key_is_shown_nowhere() -> None:
    assert OLD.hex() not in repr(Settings(checkpoint_key=OLD.hex()))

from __future__ import annotations

import math

import google_crc32c
import numpy as np
import pytest

from services.detector import state
from services.detector.array_bytes import read
from services.detector.state import FORMAT, Fields, array, fill, integer, number, pack, unpack
from shared.errors import Corrupt, Newer


def fields() -> Fields:
    return {
        "events": 2**62,
        "mean": 0.1 + 0.2,
        "nothing": None,
        "open": True,
        "name": "señal",
        "raw": b"\0\1",
        "list": [1, "a", [2.5]],
        "nested": {"counts": np.arange(6, dtype=np.int32).reshape(2, 3)},
        "values": np.array([math.nan, math.inf, -0.0, 5e-324]),
        "flags": np.array([True, False]),
        "none": np.zeros((0, 4)),
    }


def test_fields_read_back_exactly() -> None:
    back = unpack("bank", 3, pack("bank", 3, fields()))
    expected = fields()
    assert back.keys() == expected.keys()
    for name in ("events", "mean", "nothing", "open", "name", "raw", "list"):
        assert back[name] == expected[name]
    nested = back["nested"]
    assert isinstance(nested, dict)
    np.testing.assert_array_equal(nested["counts"], np.arange(6, dtype=np.int32).reshape(2, 3))
    assert array(back, "values", np.float64).tobytes() == array(expected, "values", np.float64).tobytes()
    assert array(back, "none", np.float64).shape == (0, 4)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_integers_of_every_size_read_back_exactly(dtype: type[np.integer]) -> None:
    limits = np.iinfo(dtype)
    values = np.array([0, 1, 127, limits.max, limits.min, limits.max // 2, limits.min // 2], dtype).reshape(7, 1)
    back = array(unpack("bank", 1, pack("bank", 1, {"values": values})), "values", dtype)
    assert (back.dtype, back.tolist()) == (values.dtype, values.tolist())


def test_a_small_integer_takes_one_byte_whatever_its_type() -> None:
    none, small, large = (len(pack("bank", 1, {"values": np.full(1_000, value)})) for value in (0, 63, 64))
    assert (small, large) == (none, none + 1_000)
    assert none < 1_000 + 60


@pytest.mark.parametrize(
    "content",
    [b"", b"\x80", b"\x01\x01", b"\xff" * 10 + b"\x01"],
    ids=["too few", "cut", "too many", "beyond 64 bits"],
)
def test_bytes_of_other_integers_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="integers"):
        read(np.dtype(np.int64), (1,), content)


def test_a_shape_that_the_bytes_cannot_fill_takes_no_memory() -> None:
    with pytest.raises(ValueError, match="1 bytes hold no 1099511627776 integers"):
        read(np.dtype(np.int64), (1 << 20, 1 << 20), b"\x01")


def test_arrays_that_were_read_can_be_written() -> None:
    values = array(unpack("bank", 1, pack("bank", 1, {"values": np.zeros(2)})), "values", np.float64)
    values[0] = 1.0
    assert values.tolist() == [1.0, 0.0]


def test_the_bytes_of_an_array_do_not_depend_on_its_layout() -> None:
    values = np.arange(6.0).reshape(2, 3)
    swapped = values.astype(values.dtype.newbyteorder(">"))
    expected = pack("bank", 1, {"values": values})
    assert pack("bank", 1, {"values": np.asfortranarray(values)}) == expected
    assert pack("bank", 1, {"values": swapped}) == expected


def test_every_flipped_byte_is_noticed() -> None:
    data = pack("bank", 1, fields())
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 0x40
        with pytest.raises(Corrupt):
            unpack("bank", 1, bytes(broken))


@pytest.mark.parametrize("data", [b"", b"driftline", pack("bank", 1, fields())[:-1]], ids=["empty", "short", "cut"])
def test_bytes_that_are_not_whole_are_refused(data: bytes) -> None:
    with pytest.raises(Corrupt):
        unpack("bank", 1, data)


@pytest.mark.parametrize(("name", "version"), [("bank", 2), ("other", 1)])
def test_another_kind_or_an_earlier_version_is_refused_by_name(name: str, version: int) -> None:
    with pytest.raises(Corrupt, match="state of bank version 1, this release reads"):
        unpack(name, version, pack("bank", 1, {}))


def test_a_later_version_or_format_is_newer_and_not_corrupt() -> None:
    with pytest.raises(Newer, match="state of bank version 2, this release reads up to version 1"):
        unpack("bank", 1, pack("bank", 2, {}))
    with pytest.raises(Newer, match=f"a state of bank has format {FORMAT + 1}, this release reads up to {FORMAT}"):
        unpack("bank", 1, pack("bank", 1, {}).replace(b"/%d" % FORMAT, b"/%d" % (FORMAT + 1), 1))


def test_a_later_version_of_another_kind_is_corrupt() -> None:
    with pytest.raises(Corrupt, match="state of bank version 2, this release reads other version 1"):
        unpack("other", 1, pack("bank", 2, {}))


def test_a_later_version_that_is_not_whole_is_corrupt() -> None:
    with pytest.raises(Corrupt, match="checksum"):
        unpack("bank", 1, pack("bank", 2, {})[:-1] + b"x")


@pytest.mark.parametrize(
    "body",
    [b"\x93\xa1a\x01", b"\x01", b"\x93\xa4bank\x01\x81\xa1x\xd4\x09\x00", b"\x93\xa4bank\x01\x81\xa1x\xd4\x01\x00"],
    ids=["short", "no list", "unknown extension", "no array"],
)
def test_a_body_that_is_no_state_is_refused_although_its_checksum_holds(body: bytes) -> None:
    content = state.MAGIC + body
    with pytest.raises(Corrupt):
        unpack("bank", 1, content + int(google_crc32c.value(content)).to_bytes(4, "little"))


def test_a_state_beyond_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pack("bank", 1, {"values": np.zeros(100)})
    monkeypatch.setattr(state, "MAX_BYTES", 400)
    with pytest.raises(ValueError, match="400 are allowed"):
        pack("bank", 1, {"values": np.zeros(100)})
    with pytest.raises(Corrupt):
        unpack("bank", 1, data)


def test_arrays_of_objects_are_no_state() -> None:
    with pytest.raises(TypeError, match="no state holds"):
        pack("bank", 1, {"values": np.array([object()])})


def test_a_field_of_another_type_or_shape_is_refused() -> None:
    wrong: Fields = {"values": np.zeros(3), "count": 1.0, "mean": 1}
    with pytest.raises(Corrupt, match="values"):
        array(wrong, "values", np.int64)
    with pytest.raises(Corrupt, match="values"):
        fill({"values": np.zeros(2)}, wrong)
    with pytest.raises(Corrupt, match="absent"):
        fill({"absent": np.zeros(2)}, wrong)
    with pytest.raises(Corrupt, match="count"):
        integer(wrong, "count")
    with pytest.raises(Corrupt, match="mean"):
        number(wrong, "mean")

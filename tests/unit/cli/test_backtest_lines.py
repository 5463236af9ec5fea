"""Recorded events in the order in which a backtest feeds them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from services.cli.backtest.lines import Line, merged
from shared.errors import ConfigurationError

EPOCH = "1970-01-01T00:00:0"


def event(second: int, name: str = "") -> bytes:
    """Return an event at a second after 1970."""
    return f'{{"request_id":"{name}","ts":"{EPOCH}{second}Z"}}'.encode()


def files(folder: Path, predictions: list[bytes], labels: list[bytes]) -> list[Line]:
    paths = folder / "predictions.jsonl", folder / "labels.jsonl"
    for path, lines in zip(paths, (predictions, labels), strict=True):
        path.write_bytes(b"\n".join(lines))
    return merged(*paths)


def order(lines: list[Line]) -> list[tuple[int, bool, int]]:
    return [line[:3] for line in lines]


def test_events_are_ordered_by_time_and_predictions_come_first(tmp_path: Path) -> None:
    lines = files(tmp_path, [event(3), event(1)], [event(3), event(2)])

    assert order(lines) == [(1_000, False, 1), (2_000, True, 1), (3_000, False, 0), (3_000, True, 0)]
    assert lines[0].value == event(1)


def test_events_of_one_time_keep_the_order_of_their_file(tmp_path: Path) -> None:
    values = [event(1, name) for name in "cab"]

    assert [line.value for line in files(tmp_path, values, [])] == values


@pytest.mark.parametrize(
    "broken",
    [b"{", b"[]", b'"text"', b'{"ts":5}', b'{"ts":"soon"}', b"\xff\xfe", b'{"ts":null}', b"{}", b"[" * 100_000],
    ids=lambda value: value[:12].decode("latin-1"),
)
def test_a_line_without_a_readable_time_stays_after_the_line_before_it(tmp_path: Path, broken: bytes) -> None:
    lines = files(tmp_path, [event(2), broken, event(4)], [event(3)])

    assert order(lines) == [(2_000, False, 0), (2_000, False, 1), (3_000, True, 0), (4_000, False, 2)]
    assert lines[1].value == broken


def test_a_first_line_without_a_time_comes_first(tmp_path: Path) -> None:
    assert order(files(tmp_path, [b"{}", event(1)], [])) == [(0, False, 0), (1_000, False, 1)]


def test_empty_lines_are_no_events_and_line_ends_are_not_part_of_them(tmp_path: Path) -> None:
    lines = files(tmp_path, [event(1) + b"\r", b"", b"  ", event(2), b""], [])

    assert [line.value for line in lines] == [event(1), event(2)]
    assert [line.offset for line in lines] == [0, 1]


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    ".zst": zstandard.ZstdCompressor(write_checksum=True).compress,
    ".gz": gzip.compress,
    "": lambda content: content,
}


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_files_may_be_compressed(tmp_path: Path, suffix: str) -> None:
    events = tmp_path / f"events.jsonl{suffix}"
    events.write_bytes(COMPRESSORS[suffix](b"\n".join(event(second) for second in range(5))))
    none = tmp_path / "none.jsonl"
    none.touch()

    assert [line.ts_ms for line in merged(events, none)] == [0, 1_000, 2_000, 3_000, 4_000]


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_files_that_were_appended_to_each_other_are_read_whole(tmp_path: Path, suffix: str) -> None:
    compress = COMPRESSORS[suffix]
    events = tmp_path / f"events.jsonl{suffix}"
    events.write_bytes(b"".join(compress(event(second) + b"\n") for second in range(3)))
    none = tmp_path / "none.jsonl"
    none.touch()

    assert [line.value for line in merged(events, none)] == [event(0), event(1), event(2)]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.jsonl"

    with pytest.raises(ConfigurationError, match=rf"^{missing}: cannot be read: .*No such file"):
        merged(missing, missing)


@pytest.mark.parametrize("suffix", [".zst", ".gz"])
@pytest.mark.parametrize("damage", ["not compressed", "cut", "a byte differs"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, suffix: str, damage: str) -> None:
    plain = b"\n".join(event(second % 10, str(second * 7_919 % 10_007)) for second in range(5_000))
    content = COMPRESSORS[suffix](plain)
    events = tmp_path / f"events.jsonl{suffix}"
    events.write_bytes(
        {
            "not compressed": plain,
            "cut": content[: len(content) // 2],
            "a byte differs": content[:200] + bytes([content[200] ^ 255]) + content[201:],
        }[damage]
    )

    with pytest.raises(ConfigurationError, match=f"^{events}: cannot be read: "):
        merged(events, events)

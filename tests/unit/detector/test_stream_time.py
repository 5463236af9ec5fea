from __future__ import annotations

import numpy as np
import pytest

from services.detector.stream_time import WIDTH, StreamTime
from services.detector.structs import decode_struct, encode_struct


def advanced(ts: list[int], cut: int) -> list[int]:
    stream = StreamTime()
    return [now for start in range(0, len(ts), cut) for now in stream.advance(np.array(ts[start : start + cut]))]


def test_before_the_first_row_there_is_no_time() -> None:
    assert StreamTime().now is None


def test_the_first_row_sets_the_clock() -> None:
    assert advanced([5_000], 1) == [5_000]


def test_stream_time_is_the_running_maximum_of_a_median() -> None:
    ts = np.random.default_rng(2).integers(0, 1_000_000, 500).tolist()
    medians = [sorted(ts[max(0, n - WIDTH + 1) : n + 1])[(min(n + 1, WIDTH) - 1) // 2] for n in range(len(ts))]

    assert advanced(ts, 500) == np.maximum.accumulate(medians).tolist()


@pytest.mark.parametrize("cut", [1, 7, 100, 101, 102])
def test_how_rows_are_cut_into_blocks_does_not_matter(cut: int) -> None:
    ts = np.random.default_rng(2).integers(0, 1_000_000, 500).tolist()

    assert advanced(ts, cut) == advanced(ts, 500)


def test_one_absurd_timestamp_moves_nothing() -> None:
    steady = list(range(0, 200_000, 1_000))
    absurd = [*steady[:150], 10**15, *steady[150:]]

    assert max(advanced(absurd, 50)) < 200_000
    assert max(advanced([*steady[:150], 0, *steady[150:]], 50)) < 200_000


def test_time_never_goes_back() -> None:
    now = advanced([*range(1_000, 2_000), *range(500)], 300)

    assert now == sorted(now)
    assert now[-1] > 1_900


def test_stream_time_survives_a_checkpoint() -> None:
    stream = StreamTime()
    stream.advance(np.arange(0, 150_000, 1_000))
    restored = decode_struct(encode_struct(stream), StreamTime)

    assert restored == stream
    assert len(restored.recent) == WIDTH
    later = np.arange(150_000, 300_000, 1_000)
    assert restored.advance(later).tolist() == stream.advance(later).tolist()

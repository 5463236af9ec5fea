"""What a series adds to the state of a watch: the difference between watches that have it and watches that have not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WatchSizes:
    """Bytes of the snapshots of a watch, and of one that watches all traffic alone."""

    all_traffic: int
    segmented: int


def of_all_traffic(whole: WatchSizes, without: WatchSizes, columns: int) -> float:
    """Return the bytes of a series of all traffic; `without` watches so many `columns` less."""
    return (whole.all_traffic - without.all_traffic) / columns


def of_segment(whole: WatchSizes, without: WatchSizes, columns: int, segments: int) -> float:
    """Return the bytes of a series of a segment; what a segment takes whatever its columns are cancels out."""
    added, added_without = (sizes.segmented - sizes.all_traffic for sizes in (whole, without))
    return (added - added_without) / (columns * segments)

"""Joint tables of pairs of columns, five codes each, and which pairs say most about one another.

A table is 25 counts: 5 times the fifth of the first column and that of the second. It is judged as any histogram of
unordered bins (`verdict.judge`).
"""

from __future__ import annotations

import numpy as np

from services.detector.signals.columns import MISSING, Codes
from services.detector.statistics.arrays import Counts
from services.detector.structs import FloatArray, IntArray

FIFTHS = 5
JOINT_BINS = FIFTHS * FIFTHS
MOST_ROWS = 20_000  # of a reference, evenly spread: enough to tell its pairs apart
_CHUNK_ROWS = 4_096  # float32 counts a chunk exactly


def fifths(reference: Counts, *, ordered: bool) -> Codes:
    """Return the fifth of each code of a column, shape (bins,).

    reference: counts per bin. Ordered bins join neighbours of about a fifth of the reference together, ten deciles two
    by two. Of levels the four most frequent keep a code of their own, and the others share the last.
    """
    counts = np.asarray(reference, np.float64)
    codes = np.full(counts.size, FIFTHS - 1, np.int32)
    total = counts.sum()
    if ordered and total > 0:
        middles = (np.cumsum(counts) - counts / 2) / total
        codes[:] = np.minimum(middles * FIFTHS, FIFTHS - 1).astype(np.int32)
    elif not ordered:
        frequent = np.argsort(-counts, kind="stable")[: FIFTHS - 1]
        codes[frequent] = np.arange(frequent.size)
    return codes


def joint_codes(first: Codes, second: Codes) -> Codes:
    """Return the place in its table of each row: of two fifths each, -1 where one of them is missing."""
    codes: Codes = np.where((first < 0) | (second < 0), MISSING, FIFTHS * first + second).astype(np.int32)
    return codes


def mutual_information(tables: Counts) -> FloatArray:
    """Return what two columns say about one another, in nats, of tables [..., 25]; shape [...].

    Less its mean for independent columns, (r - 1)(c - 1)/2n with r and c occupied fifths (Miller 1955), so that pairs
    with few common rows do not look related: near 0, and negative half the time, for columns that are not.
    """
    counts = np.asarray(tables, np.float64).reshape(*np.shape(tables)[:-1], FIFTHS, FIFTHS)
    rows, columns = counts.sum(axis=-1), counts.sum(axis=-2)
    total = np.maximum(rows.sum(axis=-1), 1.0)
    expected = rows[..., :, np.newaxis] * columns[..., np.newaxis, :] / total[..., np.newaxis, np.newaxis]
    ratio = np.divide(counts, expected, out=np.ones_like(counts), where=counts > 0)
    information = (counts * np.log(ratio)).sum(axis=(-2, -1)) / total
    degrees = np.maximum((rows > 0).sum(axis=-1) - 1, 0) * np.maximum((columns > 0).sum(axis=-1) - 1, 0)
    debiased: FloatArray = information - degrees / (2 * total)
    return debiased


def informative_pairs(codes: Codes, most: int = 10) -> IntArray:
    """Return the pairs of columns that say most about one another, most first, at most `most`: [pairs, 2], i < j.

    codes: fifths of the reference, [rows, columns], -1 missing. Pairs without information are left out. A reference of
    more than 20,000 rows is thinned evenly.
    """
    thinned = codes[:: max(1, -(-len(codes) // MOST_ROWS))]
    first, second = np.triu_indices(codes.shape[1], k=1)
    tables = _all_tables(thinned)[first, second].reshape(-1, JOINT_BINS)
    information = mutual_information(tables)
    order = np.argsort(-information, kind="stable")[:most]
    chosen = order[information[order] > 0]
    return np.stack([first[chosen], second[chosen]], axis=1).astype(np.int64)


def _all_tables(codes: Codes) -> FloatArray:
    """Return the table of every column with every other, [columns, columns, 5, 5]."""
    columns = codes.shape[1]
    tables = np.zeros((columns * FIFTHS, columns * FIFTHS))
    for start in range(0, len(codes), _CHUNK_ROWS):
        chunk = codes[start : start + _CHUNK_ROWS, :, np.newaxis] == np.arange(FIFTHS)
        held = chunk.reshape(len(chunk), -1).astype(np.float32)
        tables += held.T @ held
    return tables.reshape(columns, FIFTHS, columns, FIFTHS).transpose(0, 2, 1, 3)

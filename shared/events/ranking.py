"""Rankings as bytes: the items that a model listed, best first, and what each item was worth.

Blocks, the joiner's entries and observations hold neither the items nor their texts but 8 bytes of each, XXH3-64 of the
text: all that metrics ask is which item is which. Two of 200 items share theirs by chance once in 10^15 requests.

    items | 8 bytes of each item, in the order of the list
    gains | 8 bytes of an item and a float64, by falling gain, then by item; an item that is worth nothing is left out

Equal lists give equal bytes, and so do equal gains. Both are bounded, and so is a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from struct import pack

from xxhash import xxh3_64_digest

from shared.errors import Malformed
from shared.values import MAX_CATEGORY_CHARS, class_text

MAX_ITEMS = 100  # of a list, and of a label
MAX_GAIN = 1e9
ITEM_BYTES, GAIN_BYTES = 8, 16


def item_texts(items: object, reason: str) -> list[str]:
    """Return the texts of a list of items; 1 and "1" are the same item.

    Raises:
        Malformed: `reason`, for what is no list of different texts and integers, each of 1 to 256 characters.
    """
    if not isinstance(items, (list, tuple)):
        raise Malformed(reason, "not a list of items")
    if len(items) > MAX_ITEMS:
        raise Malformed(reason, f"{len(items)} items; at most {MAX_ITEMS}")
    return _texts(items, reason)


def pack_items(texts: Iterable[str]) -> bytes:
    """Return the bytes of a list of items."""
    return b"".join([xxh3_64_digest(text.encode()) for text in texts])


def pack_gains(label: object) -> bytes:
    """Return the bytes of `{item: gain}`; of a list, whose items are each worth 1.

    Raises:
        Malformed: `label`, for anything else, and for a gain that is no number from 0 to 1e9.
    """
    if not isinstance(label, Mapping):
        return _packed([(item, 1.0) for item in item_texts(label, "label")])
    if len(label) > MAX_ITEMS:
        raise Malformed("label", f"{len(label)} items; at most {MAX_ITEMS}")
    gains = label.values()
    if not all(type(gain) in (int, float) and 0 <= gain <= MAX_GAIN for gain in gains):
        raise Malformed("label", f"a gain that is no number from 0 to {MAX_GAIN:.0e}")
    texts = _texts(list(label), "label")
    return _packed([(text, float(gain)) for text, gain in zip(texts, gains, strict=True) if gain])


def _packed(worth: Sequence[tuple[str, float]]) -> bytes:
    each = sorted((-gain, xxh3_64_digest(text.encode())) for text, gain in worth)
    return b"".join([item + pack("<d", -negative) for negative, item in each])


def _texts(items: Sequence[object], reason: str) -> list[str]:
    texts = []
    for item in items:
        if not isinstance(item, str) and (not isinstance(item, int) or isinstance(item, bool)):
            raise Malformed(reason, "an item that is neither a string nor an integer")
        if isinstance(item, str) and len(item) > MAX_CATEGORY_CHARS:
            raise Malformed(reason, f"an item of {len(item)} characters; at most {MAX_CATEGORY_CHARS}")
        texts.append(class_text(item))
    if "" in texts:
        raise Malformed(reason, "an item without a text")
    if len(set(texts)) < len(texts):
        raise Malformed(reason, "an item that is listed twice")
    return texts

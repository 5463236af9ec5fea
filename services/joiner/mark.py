"""What the view keeps of a shard beside what was folded: which log it was, and how the view is being rebuilt."""

from __future__ import annotations

import msgspec

from shared.bookmarks import Bookmark
from shared.errors import Corrupt
from shared.unreadable import UNREADABLE


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """The bookmark of a shard's position. `quiet_below`: outputs of records below that offset are not written again."""

    bookmark: Bookmark
    quiet_below: int = 0

    def pack(self) -> bytes:
        """Return the mark as bytes."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def unpack(cls, packed: bytes) -> Mark:
        """Return the mark in `packed`.

        Raises:
            Corrupt: there is none.
        """
        try:
            return msgspec.msgpack.decode(packed, type=cls)
        except UNREADABLE as exc:
            raise Corrupt(f"the view's mark does not read back ({exc})") from exc

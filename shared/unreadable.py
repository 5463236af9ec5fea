"""What msgspec raises of bytes that it cannot read: for bad UTF-8 and endless nesting it has no errors of its own."""

from __future__ import annotations

import msgspec

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

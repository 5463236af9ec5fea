"""Times as people give them to commands."""

from __future__ import annotations

import typer


def moment(text: str, option: str) -> int:
    """Return a time of RFC 3339, or so long ago as a duration says, in ms since 1970.

    Raises:
        BadParameter: it is neither.
    """
    from services.cli.adapters.ago import ago
    from shared.errors import Malformed
    from shared.values import parse_ts

    try:
        return parse_ts(text)
    except Malformed:
        pass
    try:
        return ago(text)
    except ValueError as exc:
        raise typer.BadParameter(f"{text!r} is neither a time nor a duration", param_hint=option) from exc

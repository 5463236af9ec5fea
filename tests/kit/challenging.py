"""Labelled blocks of several versions that answered the same requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import pyarrow as pa

from services.detector.challengers.watch import Challengers
from shared.challengers import ChallengersSpec
from shared.definition import Definition
from shared.events.alert import decode_alert
from shared.events.block import Block, BlockKind
from shared.events.comparison import Comparison
from shared.identity import ID_BYTES
from shared.log import Outgoing
from tests.kit.references import words
from tests.kit.traffic import MODEL, OUTPUTS, SPEC, START_MS, publication

CHALLENGED = ChallengersSpec(champion="v1", versions=["v2"])


def challengers() -> Challengers:
    """Return comparisons before the first row."""
    return Challengers(OUTPUTS, "test", lambda _: publication().baseline)


def definition(spec: ChallengersSpec | None = CHALLENGED) -> Definition:
    """Return the loans' definition with challengers."""
    return msgspec.structs.replace(publication().definition, spec=msgspec.structs.replace(SPEC, challengers=spec))


def labelled(version: str, first: int, right: Sequence[bool], channel: str = "web") -> Block:
    """Return labelled answers to the requests from `first` on, right or wrong."""
    rows = len(right)
    return Block(
        BlockKind.LABELLED,
        MODEL,
        version,
        batch=pa.RecordBatch.from_pydict(
            {
                "id": pa.array([row.to_bytes(ID_BYTES, "big") for row in range(first, first + rows)]),
                "prediction": words(*("1" if one else "0" for one in right)),
                "label": words(*["1"] * rows),
                "s:channel": words(*[channel] * rows),
                "score": pa.array([0.9 if one else 0.2 for one in right]),
            }
        ),
    )


def told(
    to: Challengers,
    blocks: Sequence[Block],
    of: Definition | None = None,
    at_ms: int = START_MS,
) -> list[Comparison]:
    """Return what comparisons say of blocks, one at each log time from `at_ms` on."""
    return comparisons(
        message
        for number, block in enumerate(blocks)
        for message in to.fold(block, of or definition(), 1, at_ms + number)
    )


def comparisons(messages: Iterable[Outgoing]) -> list[Comparison]:
    """Return the verdicts among messages."""
    found = (decode_alert(message.value).data for message in messages)
    return [data for data in found if isinstance(data, Comparison)]

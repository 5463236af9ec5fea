"""Malformed events among good ones: what is found, and when, must not depend on them.

`python -m tests.hostile.malformed` mixes a million of them into the traffic of a pipeline, or as many as it is told.
"""

from __future__ import annotations

import sys
from itertools import cycle, islice

import msgspec

from tests.kit.ingest import encoded
from tests.kit.pipeline import Pipeline, label, monitored, prediction, traffic

STEADY, SHIFTED = 1_000, 400
PIECE = 100
GOOD = encoded(prediction())
MALFORMED = (
    b"",
    b"hello",
    b"{",
    b"\xff\xfe",
    GOOD[:-1],
    GOOD + b"}",
    GOOD.replace(b'"request_id":"r1"', b'"request_id":""'),
    GOOD.replace(b'"prediction":1', b'"prediction":[1]'),
    GOOD.replace(b'"loan"', b'"house"'),
    GOOD.replace(b'"scores":{', b'"scores":{"7":0.5,'),
    GOOD.replace(b"3000.0", b"1e999"),
    b"[" * 2_000,
)

Found = tuple[str, str, tuple[str, ...], int, int]


def found(malformed: int) -> list[Found]:
    """Return what is told of a shift after so many malformed events: event, kind, culprits, rows of onset and alarm."""
    pipeline = Pipeline(monitored(loan={}))
    events = traffic(STEADY) + traffic(SHIFTED, first=STEADY, amount=9e6)
    hostile = cycle(MALFORMED)
    each = malformed // (STEADY // PIECE)  # all of them come before the shift
    for start in range(0, len(events), PIECE):
        for number, (predicted, labelled) in enumerate(events[start : start + PIECE]):
            pipeline.predict(**predicted)
            pipeline.label(**labelled)
            if start < STEADY:
                for value in islice(hostile, each * (number + 1) // PIECE - each * number // PIECE):
                    pipeline.raw_prediction(value)
        pipeline.raw_label(msgspec.json.encode(label(label="maybe")))
        pipeline.run()
    refused = [letter for letter in pipeline.dead_letters if letter.topic == pipeline.topics.predictions]
    assert len(refused) == each * (STEADY // PIECE)
    return [
        (event.value, data.kind.value, tuple([one.feature for one in data.culprits]), data.onset.row, data.detected.row)
        for event, data in pipeline.incidents
    ]


def main() -> int:
    """Compare a million malformed events with none."""
    malformed = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    without, among = found(0), found(malformed)
    print(f"without: {without}\namong {malformed:,} malformed events: {among}")  # noqa: T201 - a program of its own
    return 0 if without == among else 1


if __name__ == "__main__":
    sys.exit(main())

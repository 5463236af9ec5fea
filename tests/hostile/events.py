"""Rows of single events: what the consumers make of them."""

from __future__ import annotations

import msgspec

from shared.events.block import BlockKind
from shared.events.dead_letter import REASONS
from shared.identity import IdKey
from shared.log import Headers
from shared.values import format_ts
from tests.hostile.table import row
from tests.kit.ingest import NOW, TOPICS, encoded, ingest, label, prediction

DAY_MS = 86_400_000
LABEL = BlockKind.LABEL


def fate(
    *events: object, kind: BlockKind = BlockKind.PREDICTION, headers: Headers = (), ts_ms: int = NOW, models: int = 4
) -> str:
    """Return what becomes of these events together, and fail where one is lost or the next good one is not taken."""
    service = ingest(kind)
    service.write(*events, headers=headers, ts_ms=ts_ms)
    service.take()
    rows, letters = len(service.rows), len(service.letters)
    assert rows + letters == len(events), (rows, letters)
    found = [f"{rows} rows" if rows > 1 else "a row"] if rows else []
    found += [f"dead letter {reason}" for reason in sorted(set(service.reasons))]
    known = {*REASONS, "rows"}
    found += [f"counted {code}" for code in sorted({code for _, code in service.stage.counts if code not in known})]
    service.take(prediction(request_id="after") if kind is BlockKind.PREDICTION else label(request_id="after"))
    assert len(service.rows) == rows + 1
    assert len(service.stage._intake.models.names) == models
    return ", ".join(found)


def text(old: str, new: str, event: object | None = None) -> bytes:
    """Return a prediction with a piece of its JSON replaced."""
    whole = encoded(prediction() if event is None else event)
    assert whole.count(old.encode()) == 1, old
    return whole.replace(old.encode(), new.encode())


def features(**changed: object) -> dict[str, object]:
    return prediction(features={"age": 41, "salary": "low", **changed})


GOOD = encoded(prediction())


@row(1, "an empty value", "dead letter empty")
def empty() -> str:
    return fate(b"", b"\0\0\0\0\7")


@row(2, "a null value", "dead letter tombstone")
def tombstone() -> str:
    return fate(None)


@row(3, "not JSON, garbage behind it, two documents, a byte order mark, UTF-16", "dead letter json")
def not_json() -> str:
    utf16 = GOOD.decode().encode("utf-16")
    return fate(b"hello", GOOD + b"x", GOOD + GOOD, b"{", utf16, b"\xef\xbb\xbf" + GOOD)


@row(4, "invalid UTF-8", "dead letter utf8")
def not_utf8() -> str:
    return fate(GOOD.replace(b'"low"', b'"\xff"'), b"\xc0\xaf")


@row(5, "a depth bomb, also in an unknown field", "dead letter depth")
def depth() -> str:
    bomb = "[" * 100_000
    return fate(bomb.encode(), text('"prediction":1', f'"x":{bomb}'), text('"low"', bomb))


@row(
    6,
    "NaN and Infinity literals: missing in features and scores, else refused",
    "2 rows, dead letter json, counted not_finite",
)
def literals() -> str:
    return fate(
        text('"age":41', '"age":NaN'),
        text('"1":0.75', '"1":-Infinity'),
        text('"prediction":1', '"prediction":NaN'),
        text('"request_id":"r1"', '"request_id":Infinity'),
    )


@row(7, "1e999, integers of 30 and 5,000 digits", "dead letter range")
def too_large() -> str:
    return fate(*[text('"age":41', f'"age":{number}') for number in ("1e999", "9" * 30, "9" * 5_000)])


@row(8, "a number as text, a boolean as number, 1.0 for an integer", "dead letter prediction, dead letter type")
def wrong_types() -> str:
    of_price = {"request_id": "r", "model": "price", "model_version": "v", "features": {"size": 1.0}}
    predictions = fate({**of_price, "prediction": "0.7"}, {**of_price, "prediction": True}, prediction(request_id=1))
    labels = fate(label(label_version=1.0), kind=LABEL)
    assert labels == "dead letter type"
    return predictions


@row(9, "-0.0, subnormal numbers, 1e308", "3 rows, counted out_of_range")
def unusual_numbers() -> str:
    return fate(text('"age":41', '"age":-0.0'), text('"age":41', '"age":5e-324'), text('"age":41', '"age":1e308'))


@row(10, "duplicate keys: the last one wins, everywhere", "2 rows, the last id twice")
def duplicate_keys() -> str:
    service = ingest(BlockKind.PREDICTION)
    twice = '"request_id":"first","request_id":"last"'
    service.take(text('"request_id":"r1"', twice), text('"request_id":"r1"', twice).replace(b"41", b"NaN"))
    last = IdKey(b"test").request("loan", "last")
    return f"{len(service.rows)} rows, the last id {'twice' if {r['id'] for r in service.rows} == {last} else '?'}"


@row(11, "a lone surrogate", "dead letter json")
def surrogate() -> str:
    return fate(text('"low"', '"\\ud800"'))


@row(12, "NUL, zero-width and bidi characters in names", "dead letter charset")
def characters() -> str:
    names = ("a\0b", "a\u200bb", "a\u202eb", "a b", "", "x" * 129, "v1\n")
    return fate(*[prediction(model_version=name) for name in names], *[prediction(model=name) for name in names])


@row(13, "a message above 256 KiB, and one of 50 MB", "dead letter size; the broker takes at most 1 MiB")
def size() -> str:
    found = fate(prediction(comment="x" * 300_000), b"x" * 50_000_000)
    limits = {spec.name: spec.config.get("max.message.bytes") for spec in TOPICS.specs()}
    assert limits[TOPICS.predictions] == limits[TOPICS.ground_truth] == str(1 << 20)
    return f"{found}; the broker takes at most 1 MiB"


@row(15, "10,000 headers, a header of 1 MB, one without a value, many of one name", "a row, dead letter headers")
def headers() -> str:
    many, large = tuple([("h", b"")] * 10_000), (("h", b"x" * 1_000_000),)
    found = {fate(GOOD, headers=many), fate(GOOD, headers=large)}
    assert found == {"dead letter headers"}
    return f"{fate(GOOD, headers=(('trace', b''), ('trace', b'1')))}, {found.pop()}"


@row(16, "no key, a key that is not the request id, a giant key", "the id of the value, without looking at the key")
def keys() -> str:
    from shared.log import Outgoing  # noqa: PLC0415 - only here records have keys

    service = ingest(BlockKind.PREDICTION)
    for key in (None, b"other", b"k" * 100_000):
        service.broker.append(Outgoing(service.input, GOOD, key=key, partition=0, timestamp_ms=NOW))
    service.take()
    assert {r["id"] for r in service.rows} == {IdKey(b"test").request("loan", "r1")}
    return "the id of the value, without looking at the key"


@row(17, "10,000 unknown fields; more than 512 features", "a row, dead letter shape, counted unknown_field")
def unknown_fields() -> str:
    return fate(prediction(**{f"u{n}": n for n in range(10_000)}), features(**{f"f{n}": n for n in range(600)}))


@row(18, "a required field is missing or null", "dead letter schema")
def missing_fields() -> str:
    names = ("request_id", "model", "model_version", "features", "prediction")
    without = [{key: value for key, value in prediction().items() if key != name} for name in names]
    return fate(*without, *[prediction(**{name: None}) for name in names], b"[]", b"1")


@row(19, "a schema version that nobody knows: events have none", "a row, counted unknown_field")
def schema_version() -> str:
    return fate(prediction(schema_version=99))


@row(20, "models that are not configured: 150 names", "dead letter unknown_model, 101 names counted")
def unknown_models() -> str:
    service = ingest(BlockKind.PREDICTION)
    for number in range(150):
        service.take(prediction(model=f"m{number}"))
    assert set(service.reasons) == {"unknown_model"}
    names = {model for model, code in service.stage.counts if code == "unknown_model"}
    assert "__other__" in names
    return f"dead letter unknown_model, {len(names)} names counted"


@row(22, "a feature that is missing or null", "2 rows")
def missing_features() -> str:
    return fate(features(age=None), prediction(features={}))


@row(23, "a feature that changes its type", "2 rows, counted type_error")
def changed_type() -> str:
    return fate(features(age="old"), features(salary=[1]))


@row(24, "an absurd feature value", "2 rows, counted not_finite, counted out_of_range")
def absurd() -> str:
    return fate(text('"age":41', '"age":Infinity'), features(age=1e12))


@row(28, "one category written in several ways of Unicode and with spaces", "one category")
def unicode_variants() -> str:
    service = ingest(BlockKind.PREDICTION)
    service.take(features(salary="caf\u00e9"), features(salary="cafe\u0301"), features(salary="  caf\u00e9 "))
    levels = {found["f:salary"] for found in service.rows}
    assert levels == {"caf\u00e9"}
    return "one category"


@row(29, "request ids that are empty, of 10 MB, or speak to Redis", "6 rows, dead letter id, dead letter size")
def request_ids() -> str:
    speaking = ("{tag}", "*", "a\nb", "a\r\nDEL x", "redis.call('FLUSHALL')", "x" * 256)
    return fate(
        *[prediction(request_id=name) for name in speaking],
        prediction(request_id=""),
        prediction(request_id="x" * 257),
        prediction(request_id="x" * 10_000_000),
    )


@row(36, "a label that is no declared class, or of a wrong type", "dead letter label")
def labels() -> str:
    return fate(label(label="maybe"), label(label=2), label(label=[1]), label(label={"a": 1}), kind=LABEL)


@row(37, "probabilities outside 0 to 1, not summing to 1, of a class that is none", "2 rows, dead letter score")
def scores() -> str:
    multiclass = {"request_id": "r", "model": "animals", "model_version": "v", "features": {}, "prediction": "cat"}
    rounded = {"cat": 0.33, "dog": 0.33, "emu": 0.33}
    return fate(
        prediction(scores=1.0000001),
        prediction(scores=1.1),
        prediction(scores={"0": -0.2, "1": 1.2}),
        prediction(scores={"0": 0.9, "1": 0.9}),
        prediction(scores={"0": 0.5, "2": 0.5}),
        {**multiclass, "scores": rounded},
        {**multiclass, "scores": {"cat": 0.9, "dog": 0.9, "emu": 0.9}},
    )


@row(
    38,
    "times of the future, of 1970, of year 9999; in seconds, negative, without a zone",
    "4 rows, dead letter ts, counted ts_suspect",
)
def times() -> str:
    suspect = (
        format_ts(NOW + 6 * 60_000),
        format_ts(NOW + 3_650 * DAY_MS),
        "1970-01-01T00:00:00Z",
        "9999-12-31T00:00:00Z",
    )
    wrong = (1_750_000_000, -1, "1750000000", "2026-01-31T12:00:00", "0000-00-00T00:00:00Z", "soon")
    return fate(*[prediction(ts=ts) for ts in suspect], *[prediction(ts=ts) for ts in wrong])


@row(57, "pickle, NumPy and torch bytes as an event", "dead letter empty, dead letter json, dead letter utf8")
def pickles() -> str:
    frame = b"\x80\x04\x95\x1a\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."
    assert msgspec.json.encode("no pickle") == b'"no pickle"'
    return fate(frame, b"\x93NUMPY\x01\0v\0{'descr': '<f8'}", b"PK\x03\x04archive/data.pkl", b"\0\0\0\0\0")

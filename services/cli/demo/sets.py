"""The recorded sets that come with the product."""

from __future__ import annotations

import io
from collections.abc import Iterator
from importlib.resources import files
from itertools import islice
from pathlib import Path

import msgspec
import yaml
import zstandard

from services.cli.demo.order import Event, events, request_id

SETS = ("car_loan", "bikes")

# The rows of `predictions.jsonl.zst` at which the data's authors changed it: car_loan, first half unlike the second, by
# its publisher NannyML (see `SOURCE.md`). Nothing of the kind is known of real data.
KNOWN_CHANGES = {"car_loan": 25_000}


def folder(name: str) -> Path:
    """Return where a set's events, reference, configuration and source are."""
    return Path(str(files("services.cli") / "data" / name))


def recorded(name: str, rows: int | None = None) -> Iterator[Event]:
    """Yield a set's events in the order of its own time: all, or those of its first `rows` predictions."""
    where = folder(name)
    predictions = islice(_lines(where / "predictions.jsonl.zst"), rows)
    labels = _lines(where / "ground_truth.jsonl.zst")
    if rows is None:
        return events(name, predictions, labels)
    chosen = list(predictions)
    requests = {request_id(line) for line in chosen}
    return events(name, chosen, (line for line in labels if request_id(line) in requests))


def configuration(webhook: str) -> bytes:
    """Return one `driftline.yaml` for all sets, with absolute references and retrainings sent to `webhook`."""
    models: dict[str, object] = {}
    for name in SETS:
        written = yaml.safe_load((folder(name) / "driftline.yaml").read_bytes())["models"][name]
        retrain = {**written["retrain"], "action": {"webhook": {"url": webhook}}}
        models[name] = {**written, "reference": str(folder(name) / "reference.parquet"), "retrain": retrain}
    return msgspec.yaml.encode({"models": models, "notify": [{"to": "log"}]})


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as content:
        for line in io.BufferedReader(content):
            yield line.rstrip(b"\n")

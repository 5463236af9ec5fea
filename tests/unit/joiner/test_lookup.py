"""One request as people see it."""

from __future__ import annotations

from services.joiner.adapters.memory_view import MemoryView
from services.joiner.lookup import Found, FoundLabel, FoundPrediction, look_up
from services.joiner.meta import summary
from services.joiner.view import Change
from tests.kit.halves import HORIZON, MODEL, Half, L, P, Shard, folded, labels, predictions, request, tick


def kept(shard: Shard) -> MemoryView:
    view = MemoryView()
    view.advance(0, None, Change(3, shard.meta, shard.words, rotate=False, entries=shard.entries))
    return view


def halves() -> list[Half]:
    return [(predictions(P("b"), P("a", ts=5)), 0), (labels(L("a", "no", version=2, ts=9, offset=44)), 1)]


def test_a_request_is_found_with_its_predictions_and_its_label() -> None:
    view = kept(folded(*halves()))
    assert look_up(view, 0, request("a")) == Found(
        expires=HORIZON,
        is_live=True,
        predictions=[
            FoundPrediction(
                model=MODEL,
                model_version="v1",
                ts=5,
                prediction="yes",
                scores={"score": 0.5},
                segments={"salary": "low"},
                served_seq=0,
                served_row=1,
            )
        ],
        label=FoundLabel(label="no", label_version=2, ts=9, topic="ground-truth", partition=3, offset=44),
    )


def test_a_request_that_waits_for_its_label_has_none() -> None:
    found = look_up(kept(folded(*halves())), 0, request("b"))
    assert found is not None
    assert found.label is None


def test_an_expired_request_is_said_to_be_dead() -> None:
    found = look_up(kept(folded(*halves(), (tick(), HORIZON + 1))), 0, request("a"))
    assert found is not None
    assert not found.is_live


def test_an_unknown_request_is_not_found() -> None:
    assert look_up(kept(folded(*halves())), 0, request("z")) is None
    assert look_up(MemoryView(), 0, request("a")) is None


def test_the_summary_counts_by_model() -> None:
    view = kept(folded(*halves(), predictions(P("a"), model="other")))
    counters = summary(view.load(0).meta)
    assert {model: (count.served, count.labels_joined) for model, count in counters.items()} == {
        MODEL: (2, 1),
        "other": (1, 0),
    }

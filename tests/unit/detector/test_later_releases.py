"""What a later release has written is known for that, and what an earlier one has written is taken."""

from __future__ import annotations

import msgspec
import pytest

from services.detector.banks.windows import WindowBank
from services.detector.migrations import current, headed
from services.detector.state import pack
from shared.errors import Newer
from shared.events.block import FOLD, Block, BlockKind, Chain, encode
from shared.log import Record
from tests.kit.traffic import START_MS, TOPICS, Log, fold_of, folded, rows


def test_a_checkpoint_with_one_bank_of_a_later_release_is_newer() -> None:
    log = Log(rows(200))
    log.serve(0, 200)
    fold = fold_of()
    folded(fold, log.records)
    kept = msgspec.msgpack.decode(current(fold.snapshot()))
    watch = msgspec.msgpack.decode(kept["watches"][0][-1])
    watch["banks"][1] = pack(WindowBank.name, WindowBank.version + 1, {})
    kept["watches"][0][-1] = msgspec.msgpack.encode(watch)

    with pytest.raises(
        Newer, match=f"checkpoint of partition 0: state of {WindowBank.name} version {WindowBank.version + 1}"
    ):
        fold_of().restore(headed(msgspec.msgpack.encode(kept)))


def tick(seq: int, prev: int, fold: int) -> Record:
    value, headers = encode(Block(BlockKind.TICK, chain=Chain(0, seq, prev, fold)))
    return Record(TOPICS.observations, 0, seq, START_MS + seq, None, value, headers)


def test_an_output_of_a_later_fold_is_not_folded() -> None:
    fold = fold_of()
    before = fold.snapshot()

    with pytest.raises(Newer, match=f"of fold {FOLD + 1}, this release knows up to {FOLD}"):
        fold.fold(tick(1, -1, FOLD + 1))
    assert fold.snapshot() == before


def test_a_fold_that_repeats_fewer_outputs_than_were_there_loses_none() -> None:
    fold = fold_of()
    fold.is_whole = True
    folded(fold, [tick(1, -1, FOLD - 1), tick(2, 1, FOLD - 1), tick(3, 2, FOLD - 1)])

    folded(fold, [tick(1, -1, FOLD), tick(4, 1, FOLD), tick(5, 4, FOLD)])

    assert (fold.loss, fold.last, fold.duplicates) == (None, {0: 5}, 1)


def test_what_is_lost_where_another_fold_begins_is_a_loss() -> None:
    fold = fold_of()
    fold.is_whole = True
    folded(fold, [tick(1, -1, FOLD - 1), tick(5, 4, FOLD)])

    assert fold.loss is not None
    assert fold.loss.startswith("outputs of shard 0 between 1 and 4 are missing")


def test_which_fold_was_last_is_in_the_checkpoint() -> None:
    fold, restored = fold_of(), fold_of()
    folded(fold, [tick(1, -1, FOLD - 1), tick(2, 1, FOLD - 1)])
    restored.restore(fold.snapshot())

    folded(restored, [tick(3, 1, FOLD)])

    assert (restored.loss, restored.last) == (None, {0: 3})

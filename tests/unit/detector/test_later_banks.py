"""A checkpoint that a later release saved is told from a broken one, however deep the later version is in it."""

from __future__ import annotations

import msgspec
import pytest

from services.detector.banks.windows import WindowBank
from services.detector.migrations import current, headed
from services.detector.state import pack
from shared.errors import Newer
from tests.kit.traffic import Log, fold_of, folded, rows


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

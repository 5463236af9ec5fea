"""Champion and challengers on the same requests: which rows make a pair, what is told and when, what is kept."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.cli.publication import Publication
from services.cli.verify.recompare import recompare
from services.detector.baseline import decode
from services.detector.baseline_build import build_baseline
from services.detector.challengers.pairing import KEPT, Waiting
from services.detector.challengers.segments import MAX_SEGMENTS, Part, Segments
from services.detector.challengers.watch import NAME, VERSION, Challengers, largest_state
from services.detector.migrations import current, headed
from services.detector.state import pack
from services.detector.structs import FloatArray
from shared.challengers import ChallengersSpec
from shared.definition import Definition, declared_schema
from shared.errors import Newer
from shared.events.block import Block, BlockKind
from shared.events.comparison import Advice, Difference, Verdict
from shared.identity import ID_BYTES
from shared.monitors import ModelSpec
from tests.kit.challenging import CHALLENGED, challengers, comparisons, definition, labelled, told
from tests.kit.references import hours, loans
from tests.kit.traffic import (
    MODEL,
    OUTPUTS,
    SPEC,
    START_MS,
    TOPICS,
    Log,
    fold_of,
    folded,
    publication,
    published_as,
    rows,
)

LATER_MS = START_MS + 3_600_000
RIGHT, WRONG = [True] * 10, [False] * 10


def traffic(rows: int, champion: float, challenger: float, seed: int = 3) -> list[Block]:
    """Return the labels of requests that both answered, in blocks of a hundred; errors at these rates."""
    rng = np.random.default_rng(seed)
    blocks = []
    for first in range(0, rows, 100):
        chance = rng.random(100)
        for version, rate in (("v1", champion), ("v2", challenger)):
            blocks.append(labelled(version, first, (chance >= rate).tolist()))
    return blocks


def test_a_better_challenger_is_to_be_promoted_and_the_record_says_why() -> None:
    first, verdict, *later = told(challengers(), traffic(2_000, champion=0.2, challenger=0.15))

    assert (first.verdict, first.advice, first.pairs) == (Verdict.UNDECIDED, Advice.KEEP, 100)
    assert first.labels_needed is not None
    assert (verdict.verdict, verdict.advice, verdict.labels_needed) == (Verdict.BETTER, Advice.PROMOTE, 0)
    assert (verdict.model, verdict.champion, verdict.model_version, verdict.metric) == ("loans", "v1", "v2", "error")
    assert verdict.e_better >= verdict.e_needed == 40.0
    assert 0 < verdict.estimate_low < verdict.estimate == verdict.challenger_won / verdict.pairs
    assert [one.verdict for one in later] == [Verdict.BETTER]
    assert verdict.comparison_id == first.comparison_id


def test_a_worse_challenger_is_to_be_rolled_back() -> None:
    *_, verdict = told(challengers(), traffic(900, champion=0.15, challenger=0.25))

    assert (verdict.verdict, verdict.advice) == (Verdict.WORSE, Advice.ROLLBACK)
    assert verdict.estimate_high < 0


def test_an_equal_challenger_is_told_of_at_a_hundred_pairs_and_at_ten_times_as_many() -> None:
    found = told(challengers(), traffic(1_100, champion=0.2, challenger=0.2))

    assert [(one.verdict, one.pairs) for one in found] == [(Verdict.UNDECIDED, 100), (Verdict.UNDECIDED, 1_000)]
    assert found[0].differences == [Difference(0, 100)]
    assert found[0].labels_needed is None


def test_every_number_of_a_verdict_follows_from_its_own_record() -> None:
    found = told(challengers(), traffic(2_000, champion=0.2, challenger=0.15))
    changed = msgspec.structs.replace(found[1], e_better=found[1].e_better * 1.01)

    assert [number for one in found for number in recompare(one) if number.differs] == []
    assert [number.name for number in recompare(changed) if number.differs] == ["value (e_better)"]


def by_channel(rows: int, web: tuple[float, float], branch: tuple[float, float], seed: int = 3) -> list[Block]:
    """Return the labels of requests of two channels, a block of a hundred of each in turn; errors of both versions."""
    rng = np.random.default_rng(seed)
    blocks = []
    for first in range(0, rows, 100):
        channel, rates = ("branch", branch) if first // 100 % 4 == 3 else ("web", web)
        chance = rng.random(100)
        for version, rate in zip(("v1", "v2"), rates, strict=True):
            blocks.append(labelled(version, first, (chance >= rate).tolist(), channel))
    return blocks


def test_a_better_challenger_that_is_worse_in_a_segment_is_promoted_with_a_caveat() -> None:
    watch = challengers()
    *_, last = told(watch, by_channel(2_000, web=(0.3, 0.1), branch=(0.1, 0.3)))

    assert (last.verdict, last.advice) == (Verdict.BETTER, Advice.PROMOTE_WITH_CAVEAT)
    assert [(one.segment, one.verdict) for one in last.segments] == [
        ("channel=branch", Verdict.WORSE),
        ("channel=web", Verdict.BETTER),
    ]
    worse = last.segments[0]
    assert worse.estimate_high < 0 < last.estimate_low
    assert worse.e_worse >= last.e_needed_in_segments == 40.0 * last.segments_compared
    assert last.segments_compared == len(decode(publication().baseline).cells) - 1
    ((figures,),) = watch.figures().values()
    assert figures.segments == {Verdict.BETTER: 1, Verdict.WORSE: 1, Verdict.UNDECIDED: 0}


def test_a_caveat_is_told_when_it_comes_though_the_verdict_stays() -> None:
    found = told(challengers(), by_channel(4_000, web=(0.3, 0.1), branch=(0.1, 0.25)))

    assert [(one.advice, one.pairs >= 100) for one in found][-1] == (Advice.PROMOTE_WITH_CAVEAT, True)
    advices = [one.advice for one in found]
    assert advices.index(Advice.PROMOTE) < advices.index(Advice.PROMOTE_WITH_CAVEAT)


def test_a_challenger_that_is_better_everywhere_has_no_caveat() -> None:
    *_, last = told(challengers(), by_channel(3_000, web=(0.3, 0.1), branch=(0.3, 0.1)))

    assert last.advice is Advice.PROMOTE
    assert {one.verdict for one in last.segments} == {Verdict.BETTER}


def test_every_number_of_a_segment_follows_from_the_record_of_the_verdict() -> None:
    *_, last = told(challengers(), by_channel(2_000, web=(0.3, 0.1), branch=(0.1, 0.3)))
    first, *others = last.segments
    changed = msgspec.structs.replace(
        last, segments=[msgspec.structs.replace(first, e_worse=first.e_worse * 1.01), *others]
    )
    hidden = msgspec.structs.replace(last, segments=others)

    assert [number for number in recompare(last) if number.differs] == []
    assert [number.name for number in recompare(changed) if number.differs] == ["value (e_worse)"]
    assert [number.name for number in recompare(hidden) if number.differs] == ["verdict"]


def test_segments_begin_anew_where_the_reference_has_other_ones() -> None:
    watch = challengers()
    told(watch, by_channel(2_000, web=(0.3, 0.1), branch=(0.1, 0.3)))
    plain = msgspec.structs.replace(SPEC, segments=[], challengers=CHALLENGED)
    other = Publication.of(MODEL, plain, build_baseline(MODEL, plain, loans(2_000)))
    again = Challengers(OUTPUTS, "test", lambda _: other.baseline)
    again.restore(watch.snapshot())

    told(again, [labelled("v1", 2_000, RIGHT)], other.definition)

    ((figures,),) = again.figures().values()
    assert (figures.pairs, sum(figures.segments.values())) == (2_000, 0)


def test_segments_beyond_the_bound_are_not_compared() -> None:
    parts = {f"s{number}": Part() for number in range(MAX_SEGMENTS)}
    segments = Segments(decode(publication().baseline), CHALLENGED)
    batch = labelled("v1", 0, RIGHT).batch
    assert batch is not None

    segments.take(parts, batch, [0, 1], np.array([100, 0], np.int64))

    assert len(parts) == MAX_SEGMENTS
    assert {int(part.counts.sum()) for part in parts.values()} == {0}


def test_a_verdict_is_taken_back_when_all_of_its_evidence_is_gone() -> None:
    blocks = traffic(600, champion=0.3, challenger=0.15) + [
        labelled(version, first, [version == "v1"] * 20 + [True] * 80)
        for first in range(600, 1_000, 100)
        for version in ("v1", "v2")
    ]

    verdicts = [one.verdict for one in told(challengers(), blocks)]

    assert verdicts == [Verdict.BETTER, Verdict.UNDECIDED]


def test_answers_meet_in_any_order_and_once() -> None:
    blocks = [
        labelled("v2", 0, RIGHT),
        labelled("v2", 0, WRONG),
        labelled("v1", 5, WRONG),
        labelled("v1", 0, WRONG[:5]),
    ]
    watch = challengers()
    told(watch, blocks)

    ((figures,),) = watch.figures().values()
    assert (figures.pairs, figures.waiting) == (10, 5)
    assert figures.evidence[0] == pytest.approx(3.668, abs=0.001)


def test_versions_that_nobody_asked_for_are_left_out() -> None:
    watch = challengers()
    told(watch, [labelled("v1", 0, RIGHT), labelled("v9", 0, RIGHT)])

    ((figures,),) = watch.figures().values()
    assert (figures.pairs, figures.waiting) == (0, 10)


def test_each_challenger_is_compared_with_the_champion_under_a_share_of_the_chance() -> None:
    spec = ChallengersSpec(champion="v1", versions=["v2", "v3"])
    watch = challengers()
    found = told(
        watch,
        [labelled(version, 0, [version != "v1"] * 10 + [True] * 90) for version in ("v1", "v2", "v3")],
        definition(spec),
    )

    assert [(one.model_version, one.challenger_won, one.e_needed) for one in found] == [
        ("v2", 10, 80.0),
        ("v3", 10, 80.0),
    ]
    assert len({one.comparison_id for one in found}) == 2
    assert [one.waiting for one in watch.figures()["loans"]] == [0, 0]


def test_what_waits_is_bounded_and_what_finds_no_partner_is_counted() -> None:
    waiting = Waiting(unpaired=[0, 0])
    ids = [row.to_bytes(2, "big") for row in range(KEPT + 5)]
    assert list(waiting.take(0, ids[:2], [0, 0])) == []
    assert list(waiting.take(1, ids[:1], [100])) == [(0, 0, -100)]

    assert list(waiting.take(0, ids[2:], [0] * (KEPT + 3))) == []

    assert (len(waiting.losses), waiting.unpaired) == (KEPT, [4, 5])
    assert list(waiting.take(1, ids[5:6], [100])) == [(0, 0, -100)]


def test_the_comparison_begins_anew_where_it_rests_on_something_else() -> None:
    watch, blocks = challengers(), traffic(100, champion=0.2, challenger=0.1)
    (before,) = told(watch, blocks)

    (after,) = told(watch, blocks, definition(msgspec.structs.replace(CHALLENGED, metric="loss")), LATER_MS)

    assert after.comparison_id != before.comparison_id
    assert (after.metric, after.pairs, after.differences[0].pairs) == ("loss", 100, 89)
    assert told(watch, blocks, definition(None)) == []
    assert watch.figures() == {}


def test_a_restart_anywhere_changes_nothing() -> None:
    blocks = traffic(1_200, champion=0.25, challenger=0.2)
    whole = challengers()
    expected = told(whole, blocks)
    for cut in range(1, len(blocks), 5):
        first, second = challengers(), challengers()
        before = told(first, blocks[:cut])
        second.restore(first.snapshot())

        after = told(second, blocks[cut:], at_ms=START_MS + cut)

        assert before + after == expected
        assert second.snapshot() == whole.snapshot()


def test_errors_of_numbers_are_bounded_by_the_quantile_of_the_reference() -> None:
    rng = np.random.default_rng(2)
    label = rng.normal(100, 20, 12_000)
    reference = pa.table({"ts": hours(12_000), "prediction": label + rng.normal(0, 5, 12_000), "label": label})
    chosen = ModelSpec(task="regression", reference="reference.parquet", challengers=CHALLENGED)
    built = build_baseline(MODEL, chosen, reference)
    published = Publication.of(MODEL, chosen, built)
    watch = Challengers(OUTPUTS, "test", lambda _: published.baseline)
    exact = label[:200]

    (first, *_) = told(
        watch,
        [answered("v1", exact + 4.0, exact), answered("v2", exact + 60.0, exact)],
        published.definition,
    )

    assert built.performance is not None
    assert (first.metric, first.loss_bound) == ("absolute_error", built.performance.high_error)
    assert first.loss_bound == pytest.approx(1.645 * 5, rel=0.05)
    assert first.differences == [Difference(round(100 * 4.0 / first.loss_bound) - 100, 200)]
    assert first.verdict is Verdict.WORSE


def test_without_a_reference_no_error_of_a_number_is_compared() -> None:
    chosen = ModelSpec(task="regression", warm_up="7d", challengers=CHALLENGED)
    warming = Definition(model=MODEL, spec=chosen, schema=declared_schema(chosen))
    exact = np.full(200, 3.0)

    assert told(challengers(), [answered("v1", exact, exact), answered("v2", exact, exact)], warming) == []


def answered(version: str, predictions: FloatArray, labels: FloatArray) -> Block:
    ids = pa.array([row.to_bytes(ID_BYTES, "big") for row in range(len(labels))])
    columns = {"id": ids, "prediction": pa.array(predictions), "label": pa.array(labels)}
    return Block(BlockKind.LABELLED, MODEL, version, batch=pa.RecordBatch.from_pydict(columns))


def test_the_most_that_a_checkpoint_takes_is_foretold() -> None:
    watch = challengers()
    told(watch, [labelled("v1", first, [False] * 2_000) for first in range(0, KEPT + 4_000, 2_000)])

    assert len(watch.snapshot()) == pytest.approx(largest_state(CHALLENGED, []), rel=0.02)


def test_a_checkpoint_of_a_fold_holds_the_comparison_and_goes_on_with_it() -> None:
    published = published_as(msgspec.structs.replace(SPEC, challengers=CHALLENGED))
    champion = Log(rows(1_200, error_rate=0.25), published)
    challenger = Log(rows(1_200, error_rate=0.1), published, records=champion.records, last=champion.last)
    for first in range(0, 1_200, 300):
        for log, version in ((champion, "v1"), (challenger, "v2")):
            log.serve(first, first + 300, model_version=version)
        for log, version in ((champion, "v1"), (challenger, "v2")):
            log.label(first, first + 300, model_version=version)
    whole, parted = fold_of(published), fold_of(published)

    expected, found = folded(whole, champion.records), []
    for record in champion.records:
        kept, parted = parted.snapshot(), fold_of(published)
        parted.restore(kept)
        found += parted.fold(record)

    assert found == expected
    assert parted.snapshot() == whole.snapshot()
    verdicts = comparisons(message for message in expected if message.topic == TOPICS.alerts)
    assert [(one.verdict, one.pairs) for one in verdicts] == [(Verdict.BETTER, 300), (Verdict.BETTER, 1_200)]


def test_a_state_from_before_there_were_challengers_is_taken_as_it_is() -> None:
    fold = fold_of()
    kept = msgspec.msgpack.decode(current(fold.snapshot()))
    del kept["challengers"]

    fold_of().restore(headed(msgspec.msgpack.encode(kept)))


def test_a_state_of_a_later_release_is_refused() -> None:
    with pytest.raises(Newer, match=f"state of {NAME} version {VERSION + 1}"):
        challengers().restore(pack(NAME, VERSION + 1, {}))

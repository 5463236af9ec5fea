"""Where a loss comes from: the mix of scores, the relation to the truth, or the shares of segments."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.cli.verify.recount_loss import recount_loss
from services.detector import baseline as baselines
from services.detector.baseline_build import build_baseline
from services.detector.causes.bins import bins_of
from services.detector.causes.parts import is_mix_alone, loss_parts
from services.detector.causes.strata import Strata
from services.detector.causes.watch import CauseWatch
from services.detector.causes.words import why
from services.detector.performance.recent_labels import RecentLabels
from services.detector.signals.labelled import LabelledSignals
from services.detector.structs import FloatArray, decode_struct, encode_struct
from shared.events.alert import IncidentKind, LossCause, LossParts, Severity
from tests.kit.references import hours, loans, spec

LABELS = np.full(4, 1_000)
ERRORS = np.array([50, 100, 200, 300])
LOSS, CONCEPT = IncidentKind.PERFORMANCE_DEGRADATION, IncidentKind.CONCEPT_DRIFT


def cut(by: str = "score", membership: int = 0) -> Strata:
    return Strata(
        by=by,
        names=["a", "b", "c", "d"],
        labels=LABELS,
        errors=ERRORS,
        edges=np.zeros(0),
        of_class=np.zeros(0, np.int64),
        membership=membership,
    )


def parts(labels: list[int], errors: list[int], by: str = "score") -> LossParts:
    return loss_parts("error", cut(by), np.array(labels), np.array(errors))


def test_the_two_parts_of_a_loss_are_those_of_the_reweighted_reference() -> None:
    told = parts([100, 100, 100, 700], [5, 10, 20, 280])

    assert (told.loss, told.reference_loss) == (0.315, 0.1625)
    assert told.x_part == pytest.approx((100 * 0.05 + 100 * 0.1 + 100 * 0.2 + 700 * 0.3) / 1_000 - 0.1625)
    assert told.rest == pytest.approx(0.315 - 0.245)
    assert told.x_part + told.rest == pytest.approx(told.loss - told.reference_loss)
    assert told.se == pytest.approx(np.sqrt(0.315 * 0.685 / 1_000 + 0.1625 * 0.8375 / 4_000), rel=0.01)
    assert [(part.labels, part.reference_errors) for part in told.bins] == [
        (100, 50),
        (100, 100),
        (100, 200),
        (700, 300),
    ]


@pytest.mark.parametrize(
    ("labels", "errors", "verdict"),
    [
        ([100, 100, 100, 700], [5, 10, 20, 210], LossCause.COVARIATE),
        ([250, 250, 250, 250], [50, 60, 80, 110], LossCause.CONCEPT),
        ([100, 100, 100, 700], [10, 20, 30, 270], LossCause.MIXED),
        ([25, 25, 25, 25], [1, 3, 6, 8], LossCause.UNKNOWN),
        ([250, 250, 250, 250], [0, 0, 0, 0], LossCause.UNKNOWN),
    ],
)
def test_a_loss_is_named_by_the_share_of_the_mix_in_it(
    labels: list[int], errors: list[int], verdict: LossCause
) -> None:
    assert parts(labels, errors).verdict is verdict


def test_a_bin_without_a_reference_counts_as_all_of_it() -> None:
    empty = msgspec.structs.replace(cut(), labels=np.array([1_000, 1_000, 0, 0]), errors=np.array([100, 300, 0, 0]))

    told = loss_parts("error", empty, np.array([0, 0, 100, 0]), np.array([0, 0, 90, 0]))

    assert (told.x_part, told.verdict) == (0.0, LossCause.CONCEPT)


def test_segments_make_up_a_loss_only_where_each_does_as_well_as_before() -> None:
    assert is_mix_alone(parts([100, 100, 100, 700], [5, 10, 20, 210]))
    assert not is_mix_alone(parts([100, 100, 100, 700], [40, 0, 0, 210]))  # they make up for each other
    assert not is_mix_alone(parts([250, 250, 250, 250], [50, 60, 80, 110]))


def test_causes_are_told_in_words() -> None:
    mix, concept = [100, 100, 100, 700], [250, 250, 250, 250]
    covariate = parts(mix, [5, 10, 20, 210])

    assert why([covariate]) == "the model is as good as before at each score; the mix of scores moved"
    assert why([parts(concept, [50, 60, 80, 110])]) == "the model errs more than before at the same scores"
    assert why([covariate, parts(mix, [5, 10, 20, 210], "region")]) == (
        "the model is as good as before in each segment of region; their shares of the traffic moved"
    )


def strata(table: pa.Table, **changes: object) -> list[Strata]:
    found = build_baseline("m", spec(**changes), table).performance
    assert found is not None
    return found.strata


def test_the_reference_is_cut_by_tenths_of_its_score_and_by_segments() -> None:
    rng = np.random.default_rng(3)
    score = rng.random(5_000)
    table = loans(5_000).set_column(8, "score_1", pa.array(score)).set_column(7, "score_0", pa.array(1 - score))

    by_score, by_region = strata(table, segments=["region"])

    wrong = (table["prediction"].to_numpy() != table["label"].to_numpy()).astype(int)
    assert (by_score.by, by_score.labels.tolist()) == ("score", [500] * 10 + [0])
    assert by_score.errors.sum() == wrong.sum()
    assert by_score.errors[0] == wrong[np.argsort(score)[:500]].sum()
    assert (by_region.by, by_region.names) == (
        "region",
        ["region=north", "region=south", "region=west", "region=__other__"],
    )
    regions = np.array(table["region"].to_pylist())
    assert by_region.labels.tolist() == [*((regions == name).sum() for name in ("north", "south", "west")), 0]
    assert by_region.errors[2] == wrong[regions == "west"].sum()


def test_without_a_score_the_bins_are_the_predicted_classes_and_nine_at_most() -> None:
    rng = np.random.default_rng(4)
    classes = [f"c{number:02}" for number in range(12)]
    label = rng.choice(classes, 6_000, p=np.arange(1, 13) / 78)
    table = pa.table({"ts": hours(6_000), "prediction": label, "label": label})

    (by_class,) = strata(table, task="multiclass", positive_class=None)

    assert by_class.names == [*classes[3:], "__other__"]
    assert by_class.labels[-1] == np.isin(label, classes[:3]).sum()


def test_a_regression_counts_large_errors_by_the_prediction() -> None:
    rng = np.random.default_rng(5)
    label = rng.normal(50, 10, 4_000)
    table = pa.table({"ts": hours(4_000), "prediction": label + rng.normal(0, 2, 4_000), "label": label})

    (by_value,) = strata(table, task="regression", positive_class=None)

    assert (by_value.by, by_value.labels.tolist()) == ("prediction", [400] * 10 + [0])
    assert by_value.errors.sum() == 400


def signals(scores: FloatArray, cells: list[int]) -> LabelledSignals:
    nothing = np.full(len(scores), np.nan)
    return LabelledSignals(
        cells=np.column_stack([np.zeros(len(scores)), cells]).astype(np.int32),
        flags=np.zeros((len(scores), 3)),
        labels=nothing,
        predictions=nothing,
        scores=scores[:, None],
        residuals=nothing,
        residual_ranks=nothing,
        residual_scores=nothing,
    )


def test_rows_fall_into_right_closed_bins_and_into_the_cells_of_the_reference() -> None:
    by_score = msgspec.structs.replace(cut(), edges=np.array([0.2, 0.5]))
    by_segment = msgspec.structs.replace(cut("region", membership=1), first_cell=3)

    found = bins_of([by_score, by_segment], signals(np.array([0.1, 0.2, 0.3, 0.9, np.nan]), [3, 4, 6, 7, -1]))

    assert found.tolist() == [[0, 0], [0, 1], [1, 3], [2, -1], [3, -1]]


def watch() -> CauseWatch:
    return CauseWatch(build_baseline("m", spec(), loans(4_000)))


def fed(cuts: list[int], flips: int = 0) -> tuple[CauseWatch, list[int], RecentLabels]:
    """Return a watch of 400 labels up to an onset and 1,600 after it, cut into blocks, and where it looked."""
    rng = np.random.default_rng(6)
    scores, rows = np.where(rng.random(2_000) < 0.5, 0.9, 0.1), np.arange(2_000)
    errors = (rng.random(2_000) < np.where(rows < 400, 0.1, 0.4)).astype(np.float64)
    found, recent, looks = watch(), RecentLabels.of(1), list[int]()
    zeros = np.zeros(2_000, np.int64)
    for start, stop in zip([0, *cuts], [*cuts, 2_000], strict=True):
        here = slice(start, stop)
        recent.append(
            errors[here, None], zeros[here], rows[here], zeros[here], zeros[here].astype(np.int32), *[zeros[here]] * 2
        )
        found.append(start, signals(scores[here], [0] * (stop - start)))
        later = rows[max(start, 500) : stop]
        if stop == 500:
            found.begin(400, 499, recent)
        elif len(later):
            looks += [int(later[row]) for row, _ in found.later(later, errors[later], later)]
    if flips:
        at = np.flatnonzero(errors[500:])[:flips] + 500
        found.correct(signals(scores[at], [0] * flips), at, errors[at], np.zeros(flips))
    return found, looks, recent


def test_the_cause_is_looked_at_whenever_the_labels_have_doubled_wherever_blocks_end() -> None:
    one, looks, _ = fed([500])
    other, others, _ = fed([100, 500, 501, 599, 600, 1_500])

    assert looks == others == [599, 799, 1_199, 1_999]
    assert encode_struct(one.state) == encode_struct(other.state)
    cause = one.cause()
    assert (cause.kinds, cause.severity) == ([CONCEPT, LOSS], Severity.CRITICAL)
    assert sum(part.labels for part in cause.parts[0].bins) == 1_600


def test_a_corrected_label_takes_its_error_back() -> None:
    before, after = (sum(part.errors for part in fed([500], flips)[0].cause().parts[0].bins) for flips in (0, 25))

    assert before - after == 25


def test_counts_survive_a_checkpoint_and_end_with_the_incident() -> None:
    found, _, recent = fed([500])
    restored = watch()
    restored.state = decode_struct(encode_struct(found.state), type(found.state))

    assert restored.cause() == found.cause()
    found.end()
    assert (found.cause().parts, found.cause().kinds) == ([], [LOSS])
    found.begin(400, 1_999, recent)
    assert found.cause().parts == restored.cause().parts


def test_a_stranger_computes_the_parts_again_and_sees_what_was_changed() -> None:
    baseline = build_baseline("m", spec(), loans(4_000))
    baseline = baselines.decode(baselines.encode(baseline))
    performance = baseline.performance
    assert performance is not None
    (by_score,) = performance.strata
    told = loss_parts("error", by_score, np.array([300, 700, 0]), np.array([90, 300, 0]))
    read = msgspec.json.decode(json.dumps(msgspec.to_builtins(told)), type=LossParts)

    assert [number.differs for number in recount_loss(read, baseline)] == [False] * 5
    forged = msgspec.structs.replace(read, rest=read.rest + 0.01, verdict=LossCause.COVARIATE)
    assert [number.name for number in recount_loss(forged, baseline) if number.differs] == [
        "rest",
        "verdict covariate, which is concept",
    ]
    other = msgspec.structs.replace(read.bins[0], reference_errors=0)
    swapped = msgspec.structs.replace(read, bins=[other, *read.bins[1:]])
    assert [n.name for n in recount_loss(swapped, baseline) if n.differs] == [f"reference_errors of {other.name}"]

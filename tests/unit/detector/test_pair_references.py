"""What a baseline keeps of pairs, and which of them it lets page."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import pearsonr, spearmanr

from services.cli.armed import report, self_test
from services.detector.baseline import Baseline, decode, encode
from services.detector.baseline_build import build_baseline
from services.detector.pairs.reference import PairReferences, ReferencePair
from services.detector.statistics.joint import joint_codes
from shared.errors import ConfigurationError
from shared.monitors import ModelSpec
from tests.kit.pairs import PAIR, pair_baseline, pair_spec, related
from tests.kit.references import hours, loans, spec


def of(baseline: Baseline) -> PairReferences:
    assert baseline.pairs is not None
    return baseline.pairs


def pair(baseline: Baseline, name: str) -> ReferencePair:
    return next(pair for pair in of(baseline).correlations if pair.name == name)


def regression(rows: int = 12_000) -> pa.Table:
    source = np.random.default_rng(5)
    x = source.normal(size=rows)
    label = 3 * x + source.normal(size=rows)
    label[::9] = np.nan
    prediction = 3 * x + source.normal(size=rows)
    return pa.table({"ts": hours(rows), "x": x, "prediction": prediction, "label": label})


def test_nothing_is_kept_where_nothing_is_asked_for() -> None:
    baseline = build_baseline("loans", spec(), loans(3_000))

    assert baseline.pairs is None


def test_every_number_goes_with_the_answer_the_label_and_the_error() -> None:
    found = of(pair_baseline())

    assert [pair.name for pair in found.of_served()] == [PAIR, "amount × prediction", "term × prediction"]
    assert [pair.name for pair in found.of_labels()] == [
        "amount × label",
        "term × label",
        "amount × error",
        "term × error",
    ]
    assert found.labels == 20_000
    assert found.why_not() == {}


def test_coefficients_are_scipys() -> None:
    table = related(20_000, 100, truth=0.5)
    amount, term, label, prediction = (table[name].to_numpy() for name in ("amount", "term", "label", "prediction"))
    baseline = pair_baseline(truth=0.5)

    for name, x, y in (
        (PAIR, amount, term),
        ("amount × prediction", amount, prediction),
        ("amount × label", amount, label),
        ("term × error", term, prediction != label),
    ):
        found = pair(baseline, name)
        assert found.pearson.rows == 20_000
        assert found.pearson.r == pytest.approx(pearsonr(x, y).statistic, abs=1e-9)
        assert found.spearman.r == pytest.approx(spearmanr(x, y).statistic, abs=2e-5)  # ranks inside cells of a grid


def test_ranks_of_a_column_of_few_values_are_exact() -> None:
    table = loans(12_000)
    source = np.random.default_rng(6)
    count = np.minimum(table["term"].to_numpy() // 12 + source.integers(0, 3, 12_000), 5).astype(np.float64)
    table = table.append_column("count", pa.array(count))

    found = pair(build_baseline("loans", spec(pairs=[("term", "count")]), table), "term × count")

    assert found.spearman.r == pytest.approx(spearmanr(table["term"], table["count"]).statistic, abs=1e-9)


def test_a_regressions_answers_are_numbers_with_ranks_of_their_own() -> None:
    table = regression()
    x, prediction, label = (table[name].to_numpy() for name in ("x", "prediction", "label"))
    known = ~np.isnan(label)

    baseline = build_baseline("prices", ModelSpec(task="regression", reference="r.csv", pairs="auto"), table)

    assert [p.name for p in of(baseline).correlations] == ["x × prediction", "x × label", "x × error"]
    assert of(baseline).labels == int(known.sum())
    for name, y in (("x × label", label), ("x × error", prediction - label)):
        found = pair(baseline, name)
        assert found.pearson.r == pytest.approx(pearsonr(x[known], y[known]).statistic, abs=1e-9)
        assert found.spearman.r == pytest.approx(spearmanr(x[known], y[known]).statistic, abs=1e-4)


def test_three_classes_have_no_order_but_an_error() -> None:
    table = loans(3_000)
    label = np.array(["a", "b", "c"])[np.arange(3_000) % 3]
    table = table.set_column(table.schema.get_field_index("label"), "label", pa.array(label))
    table = table.set_column(table.schema.get_field_index("prediction"), "prediction", pa.array(np.roll(label, 1)))
    chosen = ModelSpec(task="multiclass", reference="r.csv", pairs="auto")

    baseline = build_baseline("loans", chosen, table.drop_columns(["score_0", "score_1"]))

    assert [p.name for p in of(baseline).correlations] == ["amount × error", "term × error"]


def test_without_labels_there_are_no_pairs_with_them() -> None:
    baseline = build_baseline("loans", pair_spec(), related(3_000, 1).drop_columns(["label"]))

    assert [p.name for p in of(baseline).correlations] == [PAIR, "amount × prediction", "term × prediction"]


def test_the_pairs_that_say_most_of_one_another_have_tables_of_their_rows() -> None:
    table = related(20_000, 100)
    found = of(pair_baseline()).joint[0]

    assert found.name == PAIR
    codes = [
        np.searchsorted(np.quantile(table[name].to_numpy(), [0.2, 0.4, 0.6, 0.8]), table[name].to_numpy()).astype(
            np.int32
        )
        for name in ("amount", "term")
    ]
    assert found.counts.tolist() == np.bincount(joint_codes(*codes), minlength=25).tolist()
    assert found.first.edges.tolist() == np.quantile(table["amount"].to_numpy(), [0.2, 0.4, 0.6, 0.8]).tolist()


def test_categories_have_tables_of_their_most_frequent_levels() -> None:
    table = loans(12_000)
    many = np.array(["a", "b", "c", "d", "e", "f"])[np.random.default_rng(8).integers(0, 20, 12_000).clip(0, 5)]
    table = table.append_column("many", pa.array(many))

    baseline = build_baseline("loans", spec(joint=[("many", "region")]), table)

    (found,) = of(baseline).joint
    assert found.first.levels == ["f", *(level for level in found.first.levels if level != "f")]
    assert (len(found.first.levels), found.first.bin_names()[-1]) == (4, "others")
    assert found.second.levels == ["north", "south", "west"]
    of_f = (many == "f") & (table["region"].to_numpy() == "south")
    assert found.counts[1] == of_f.sum()


def test_a_relation_that_turns_back_and_forth_in_the_reference_does_not_page() -> None:
    parts = [related(1_000, seed, r=0.6 if seed % 2 else -0.6) for seed in range(20)]
    table = pa.concat_tables(parts).drop_columns(["ts"]).append_column("ts", hours(20_000))

    baseline = build_baseline("loans", pair_spec(), table)

    found, reasons = pair(baseline, PAIR), of(baseline).why_not()
    assert reasons[PAIR].startswith("unsteady: its own windows differ by up to 0.")
    assert found.spearman.reason.startswith("unsteady")
    assert found.pearson.phi > 100
    assert of(baseline).joint[0].reason.startswith("unsteady: its own windows differ by PSI up to")
    assert "amount × prediction" not in reasons


@pytest.mark.parametrize(
    ("rows", "dropped", "reason"),
    [
        (9_000, [], "reference is thin (9000 rows; needs 10000)"),
        (12_000, ["ts"], "reference has no ts: with one its steadiness could be tested"),
    ],
    ids=["thin", "without an order"],
)
def test_a_reference_that_cannot_be_tested_arms_nothing(rows: int, dropped: list[str], reason: str) -> None:
    baseline = build_baseline("loans", pair_spec(), related(rows, 3).drop_columns(dropped))

    assert set(of(baseline).why_not().values()) == {reason}
    assert PAIR in of(baseline).why_not()


def test_people_are_shown_which_pairs_may_page_and_why_the_others_may_not() -> None:
    thin = build_baseline("loans", pair_spec(), related(9_000, 3))

    of_pair = [
        row for baseline in (pair_baseline(), thin) for row in self_test(report(baseline)).rows if row[0] == PAIR
    ]

    assert of_pair == [
        (PAIR, "pair", "", "", "", "", "ok"),
        (PAIR, "pair", "", "", "", "", "reference is thin (9000 rows; needs 10000)"),
    ]


def test_a_column_that_does_not_vary_has_no_correlation() -> None:
    table = related(12_000, 3)
    table = table.set_column(table.schema.get_field_index("term"), "term", pa.array(np.ones(12_000)))

    found = of(build_baseline("loans", pair_spec(), table))

    assert found.why_not()["term × label"] == "a column does not vary"
    assert found.correlations[0].pearson.r is None


def test_a_baseline_with_pairs_reads_back() -> None:
    baseline = pair_baseline()

    again = decode(encode(baseline))

    assert encode(again) == encode(baseline)
    assert of(again).correlations == of(baseline).correlations


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"pairs": [("amount", "term"), ("amount", "size")]},
            "models.loans.pairs.1: the reference has no column 'size'",
        ),
        ({"pairs": [("amount", "region")]}, "models.loans.pairs.0: region holds categories, which have no correlation"),
        ({"pairs": [("amount", "label")]}, "models.loans.pairs.0: each number goes with label anyway"),
        ({"joint": [("size", "region")]}, "models.loans.joint.0: the reference has no column 'size'"),
    ],
    ids=["unknown", "categories", "automatic", "unknown of a table"],
)
def test_a_pair_that_the_reference_cannot_have_is_refused_by_its_path(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        build_baseline("loans", pair_spec(**changes), loans(2_000))

    assert str(refused.value).startswith(message)


def test_a_feature_that_is_called_error_is_refused_where_pairs_have_an_error() -> None:
    table = loans(2_000).rename_columns({"term": "error"})

    with pytest.raises(ConfigurationError, match=r"models\.loans\.pairs: error is the error of a prediction"):
        build_baseline("loans", spec(pairs="auto"), table)

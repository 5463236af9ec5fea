"""Rules of degradation about one class, and about what errors cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from services.detector.baseline import ALL
from services.detector.baseline_build import build_baseline
from services.detector.degradation.binding import bind_degradation
from services.detector.degradation.rehearsal import rehearse_degradation
from services.detector.performance.metrics.value import Value
from services.detector.reference_table import ReferenceTable
from shared.cost import CostSpec
from shared.degradation import DegradationSpec
from shared.errors import ConfigurationError
from shared.monitors import ModelSpec
from tests.kit.references import hours, loans, spec


def of_three(rows: int = 6_000, levels: Sequence[str] = ("a", "b", "c")) -> pa.Table:
    """Return a reference of several classes, of which the first is told apart worst."""
    rng = np.random.default_rng(5)
    label = rng.integers(0, len(levels), rows)
    wrong = rng.random(rows) < np.where(label == 0, 0.4, 0.1)
    answer = np.where(wrong, (label + 1) % len(levels), label)
    names = np.array(levels)
    return pa.table({"ts": hours(rows), "x": rng.normal(size=rows), "prediction": names[answer], "label": names[label]})


def of_classes(**rules: DegradationSpec) -> ModelSpec:
    return ModelSpec(task="multiclass", reference="r.csv", degradation={**rules})


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_a_rule_of_a_class_compares_with_the_reference_s_own_of_that_class(name: str) -> None:
    chosen, table = of_classes(**{f"{name}[a]": DegradationSpec(drop=0.1)}), of_three()

    (rule,) = bind_degradation("flowers", chosen, build_baseline("flowers", chosen, table))

    score = {"precision": precision_score, "recall": recall_score, "f1": f1_score}[name]
    expected = score(table["label"].to_pylist(), table["prediction"].to_pylist(), labels=["a"], average=None)[0]
    assert rule.reference[ALL].value == pytest.approx(expected, rel=1e-9)
    assert (rule.rule.text, rule.rule.column) == (f"{name}[a] drop 0.1", f"{name}_a")


def test_a_rule_of_a_class_fires_where_that_class_is_found_less_often() -> None:
    chosen = of_classes(**{"recall[b]": DegradationSpec(below=0.95)})
    baseline = build_baseline("flowers", chosen, of_three())

    (found,) = rehearse_degradation(chosen, baseline, ReferenceTable("flowers", chosen, of_three()))

    assert (found.rule, found.windows, found.met, found.fired) == ("recall[b] below 0.95", 6, 6, 1)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (of_classes(**{"recall[d]": DegradationSpec(below=0.8)}), "no class is 'd'; there are a, b, c"),
        (
            of_classes(**{"recall[a]": DegradationSpec(drop=0.1, segments=True)}),
            "is known of all traffic only; give below or above, or no segments",
        ),
    ],
)
def test_what_the_reference_has_not_of_a_class_is_refused(chosen: ModelSpec, said: str) -> None:
    baseline = build_baseline("flowers", chosen, of_three())

    with pytest.raises(ConfigurationError, match=r"models\.flowers\.degradation\.recall") as refused:
        bind_degradation("flowers", chosen, baseline)

    assert said in str(refused.value)


def test_of_many_classes_no_single_one_has_a_rule() -> None:
    chosen = of_classes(**{"recall[c3]": DegradationSpec(below=0.8)})
    baseline = build_baseline("flowers", chosen, of_three(6_000, [f"c{number}" for number in range(21)]))

    with pytest.raises(ConfigurationError, match="each class where there are up to 20; there are 21"):
        bind_degradation("flowers", chosen, baseline)


PRICES = CostSpec(false_negative=40.0, false_positive=2.0)


def priced(**rules: DegradationSpec) -> ModelSpec:
    return spec(segments=["channel"], degradation=rules, cost=PRICES)


def test_a_rule_of_cost_compares_with_what_the_reference_cost() -> None:
    chosen, table = priced(cost=DegradationSpec(rise="50%")), loans(6_000)

    (rule,) = bind_degradation("loans", chosen, build_baseline("loans", chosen, table))

    label, answer = (table[name].to_numpy() == 1 for name in ("label", "prediction"))
    expected = (40.0 * (label & ~answer).sum() + 2.0 * (~label & answer).sum()) / 6_000
    assert rule.reference[ALL].value == pytest.approx(expected, rel=1e-9)
    found = [rule.judge(ALL, Value(expected * times), was_good=False) for times in (1.49, 1.51)]
    assert [one is not None and one.is_met for one in found] == [False, True]


def test_other_prices_leave_the_baseline_as_it_is() -> None:
    free, dear = spec(segments=["channel"]), priced(cost=DegradationSpec(above=3.0))

    assert build_baseline("loans", free, loans(3_000)).hash == build_baseline("loans", dear, loans(3_000)).hash


def test_a_rule_of_cost_is_rehearsed_on_the_reference() -> None:
    chosen = priced(cost=DegradationSpec(above=0.1))

    (found,) = rehearse_degradation(
        chosen, build_baseline("loans", chosen, loans(6_000)), ReferenceTable("loans", chosen, loans(6_000))
    )

    assert (found.rule, found.windows, found.met) == ("cost above 0.1", 6, 6)


def test_the_reference_s_cost_of_a_segment_is_not_known() -> None:
    chosen = priced(cost=DegradationSpec(rise=1.0, segments=True))

    with pytest.raises(ConfigurationError, match=r"models\.loans\.degradation\.cost: .* of all traffic only"):
        bind_degradation("loans", chosen, build_baseline("loans", chosen, loans(3_000)))

"""The text of a condition: what it says, and where it goes wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.conditions import MAX_TEXT, MAX_WINDOWS, STATISTICS, Condition, parse_condition
from shared.values import class_text

NAMES = st.text(min_size=1, max_size=12)
VALUES = st.text(max_size=12).map(class_text)


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    statistic = draw(st.sampled_from(list(STATISTICS)))
    column, is_of_pairs = draw(st.none() | NAMES), STATISTICS[statistic].of == "pairs"
    return Condition(
        statistic=statistic,
        column=column,
        second=draw(NAMES) if is_of_pairs and column is not None else None,
        segment=() if is_of_pairs else tuple(draw(st.dictionaries(NAMES, VALUES, max_size=3)).items()),
        comparison=draw(st.sampled_from(["<", "<=", ">", ">="])),
        number=draw(st.floats(allow_nan=False, allow_infinity=False)) + 0.0,
        of_reference=STATISTICS[statistic].has_reference and draw(st.booleans()),
        windows=draw(st.integers(1, MAX_WINDOWS)),
    )


@given(conditions())
def test_a_condition_is_what_its_text_says(condition: Condition) -> None:
    assert parse_condition(condition.text) == condition


@given(st.text())
def test_any_other_text_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(ValueError, match=r", column \d+: "):
        parse_condition(text)


def condition(text: str) -> tuple[str, str | None, str, float]:
    found = parse_condition(text)
    return found.statistic, found.column, found.comparison, found.number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("psi(car_value) > 0.2", ("psi", "car_value", ">", 0.2)),
        ("  psi ( car_value )>.2 ", ("psi", "car_value", ">", 0.2)),
        ("ks_pvalue(*) < 1e-3", ("ks_pvalue", None, "<", 0.001)),
        ("min(delta.v:1/2) >= -5", ("min", "delta.v:1/2", ">=", -5.0)),
        ('max("Salary (EUR)") <= +120.', ("max", "Salary (EUR)", "<=", 120.0)),
        ('mean("*") > 0', ("mean", "*", ">", 0.0)),
    ],
)
def test_what_a_text_says(text: str, expected: tuple[str, str | None, str, float]) -> None:
    assert condition(text) == expected


def test_windows_in_a_row_and_multiples_of_the_reference_are_said_after_the_number() -> None:
    found = parse_condition("mean(amount) > 1.2x reference for 3 windows")

    assert (found.number, found.of_reference, found.windows) == (1.2, True, 3)
    assert parse_condition("mean(amount) > 1.2 for 1 window").windows == 1


def test_a_segment_is_one_value_of_each_dimension() -> None:
    found = parse_condition('psi(car_value, salary_range = 40K - 60K €, city="St. Ives, (\\"old\\")") > .2')

    assert found.segment == (("salary_range", "40K - 60K €"), ("city", 'St. Ives, ("old")'))


def test_a_pair_is_two_columns_and_has_no_segments() -> None:
    found, every = parse_condition('pearson_delta(a, "the other") < -.2'), parse_condition("spearman_delta(*) > 0.1")

    assert (found.column, found.second, found.text) == ("a", "the other", 'pearson_delta(a, "the other") < -0.2')
    assert (every.column, every.second) == (None, None)
    for text in ("pearson_delta(a) > 0", "pearson_delta(a, b, channel=web) > 0", "pearson_delta(*, b) > 0"):
        with pytest.raises(ValueError, match=r", column \d+: expected"):
            parse_condition(text)


def test_a_text_nobody_reads_is_refused() -> None:
    with pytest.raises(ValueError, match=f"{MAX_TEXT + 1} characters; at most {MAX_TEXT}"):
        parse_condition("psi(x) > 0.2".ljust(MAX_TEXT + 1))


@pytest.mark.parametrize(
    ("comparison", "values"),
    [
        ("<", [True, False, False]),
        ("<=", [True, True, False]),
        (">", [False, False, True]),
        (">=", [False, True, True]),
    ],
)
def test_a_condition_compares_below_at_and_above_its_limit(comparison: str, values: list[bool]) -> None:
    found = parse_condition(f"mean(x) {comparison} 7")

    assert [found.holds(value, limit=2.0) for value in (1.0, 2.0, 3.0)] == values

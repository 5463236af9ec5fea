"""What `quality:` may say."""

from __future__ import annotations

import pytest

from shared.errors import ConfigurationError
from shared.quality import MAX_EXPECTATIONS, MAX_PATTERN, Expectation, check_pattern, matching, read_expectations


def test_an_expectation_compares_a_column_with_a_number_or_with_another() -> None:
    found = read_expectations("quality.expect", ["age >= 0", "start  <= end"])

    assert found == [Expectation("age >= 0", "age", ">=", 0.0), Expectation("start <= end", "start", "<=", "end")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("age", "write a column"),
        ("age => 0", "write a column"),
        ("age >= 0 and", "write a column"),
        ("age >= age", "compares a column with itself"),
        ("ag\u00e9 >= 0", "names hold"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_path(text: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"quality\.expect\.0.*{why}"):
        read_expectations("quality.expect", [text])


def test_the_same_twice_and_too_many_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="given twice"):
        read_expectations("quality.expect", ["a < 1", "a  < 1"])
    with pytest.raises(ConfigurationError, match="at most"):
        read_expectations("quality.expect", [f"a < {n}" for n in range(MAX_EXPECTATIONS + 1)])


@pytest.mark.parametrize(
    ("right", "ms"),
    [("1970-01-02", 86_400_000.0), ("1970-01-01T01:00:00+01:00", 0.0), ("1970-01-01T00:00:00.5Z", 500.0)],
)
def test_an_expectation_compares_a_time_with_one_that_is_written(right: str, ms: float) -> None:
    (found,) = read_expectations("quality.expect", [f"start >= {right}"])

    assert (found.right, found.is_of_time) == (ms, True)


def test_a_pattern_describes_a_text_from_end_to_end() -> None:
    assert matching(["AB-1", "AB-12", "xAB-1", "AB-1\n", ""], "[A-Z]{2}-[0-9]") == [True, False, False, False, False]
    assert matching(["a", "b", "ab"], "a|b") == [True, True, False]
    assert matching([], "a") == []


@pytest.mark.parametrize("pattern", ["(", "(?=a)", "a)|(b", "a{2000}", r"\1", r"\Qa"])
def test_what_is_no_pattern_is_refused_by_its_path(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match=r"features\.sku\.pattern.*no pattern of RE2"):
        check_pattern("features.sku.pattern", pattern)


def test_a_pattern_that_is_too_long_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at most"):
        check_pattern("features.sku.pattern", "a" * (MAX_PATTERN + 1))


def test_a_pattern_that_others_run_for_ever_on_takes_a_moment() -> None:
    assert matching(["a" * 50_000 + "!"], "(a+)+") == [False]

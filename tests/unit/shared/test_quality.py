"""What `quality:` may say."""

from __future__ import annotations

import pytest

from shared.errors import ConfigurationError
from shared.quality import MAX_EXPECTATIONS, Expectation, read_expectations


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

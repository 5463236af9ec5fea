"""The conditions of rules: `psi(car_value) > 0.2`, `ks_pvalue(*) < .01 for 3 windows`, `mean(amount) > 1.2x reference`.

    condition = statistic "(" of ")" comparison number ["x reference"] ["for" N "windows"]
    of        = column {"," dimension "=" value} | column "," column, of the statistics of pairs

A column is a name or `*`, every feature that has the statistic, or every pair. Names and values that hold other signs
than `A-Za-z0-9._:/-` (a value also spaces and most others) stand in double quotes, in which a backslash precedes a
double quote and a backslash.
"""

from __future__ import annotations

import math
import re
from typing import Literal

import msgspec

from shared.values import class_text

MAX_TEXT, MAX_WINDOWS = 1_024, 1_000

Comparison = Literal["<", "<=", ">", ">="]


class Statistic(msgspec.Struct, frozen=True, kw_only=True):
    """What a condition may speak of, and what is known of its sense without a reader's guess."""

    of: Literal["numbers", "categories", "any", "pairs"] = "any"  # the columns that have it, or pairs of columns
    alarming: tuple[Comparison, ...] = (">",)  # comparisons that can only mean what should not be
    promising: tuple[Comparison, ...] = ()  # comparisons that can only mean what must hold
    has_reference: bool = False  # whether a multiple of the reference's own says something


_MOMENT = Statistic(of="numbers", alarming=("<", ">"), has_reference=True)
_OF_PAIRS = Statistic(of="pairs", alarming=("<", ">"))
STATISTICS: dict[str, Statistic] = {
    "psi": Statistic(),
    "psi_debiased": Statistic(),
    "psi_floor": Statistic(),
    "js_distance_base2": Statistic(),
    "hellinger": Statistic(),
    "linf": Statistic(),
    "wasserstein_norm": Statistic(of="numbers"),
    "ks_stat": Statistic(of="numbers"),
    "ks_pvalue": Statistic(of="numbers", alarming=("<",)),
    "chi2_stat": Statistic(),
    "chi2_pvalue": Statistic(alarming=("<",)),
    "cramers_v": Statistic(),
    "missing_rate": Statistic(has_reference=True),
    "new_category_rate": Statistic(of="categories"),
    "out_of_range_rate": Statistic(of="numbers", has_reference=True),
    "mean": _MOMENT,
    "sd": _MOMENT,
    "median": _MOMENT,
    "min": Statistic(of="numbers", alarming=("<",), promising=(">=",), has_reference=True),
    "max": Statistic(of="numbers", alarming=(">",), promising=("<=",), has_reference=True),
    "count": Statistic(alarming=("<", ">")),
    "pearson_delta": _OF_PAIRS,
    "spearman_delta": _OF_PAIRS,
}

_PLAIN_NAME = re.compile(r"[A-Za-z0-9._:/-]+")
_PLAIN_VALUE = re.compile(r'[^\s,()"\\](?:[^,()"\\]*[^\s,()"\\])?')
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COMPARISON = re.compile("[<>]=?")
_COUNT = re.compile(r"\d{1,9}")
_WINDOWS = re.compile(r"windows?\b")


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A statement about one window of each series that it names; `text` is its canonical form."""

    statistic: str
    column: str | None  # None: every feature, or every pair, that has the statistic
    second: str | None = None  # the other column of a pair
    segment: tuple[tuple[str, str], ...] = ()  # (dimension, value) pairs; none: all traffic
    comparison: Comparison
    number: float
    of_reference: bool = False  # the number is a multiple of the statistic of the reference
    windows: int = 1  # in a row, of one series

    @property
    def text(self) -> str:
        """Return the text that parses to this condition."""
        column = "*" if self.column is None else _written(self.column, _PLAIN_NAME)
        second = "" if self.second is None else f", {_written(self.second, _PLAIN_NAME)}"
        segment = "".join(f", {_written(d, _PLAIN_NAME)}={_written(v, _PLAIN_VALUE)}" for d, v in self.segment)
        multiple = "x reference" if self.of_reference else ""
        windows = f" for {self.windows} windows" if self.windows > 1 else ""
        number = repr(self.number).removesuffix(".0")
        return f"{self.statistic}({column}{second}{segment}) {self.comparison} {number}{multiple}{windows}"

    def holds(self, value: float, limit: float) -> bool:
        """Tell whether a value of the statistic compares with the limit as the condition says."""
        match self.comparison:
            case "<":
                return value < limit
            case "<=":
                return value <= limit
            case ">":
                return value > limit
            case ">=":
                return value >= limit


def parse_condition(text: str) -> Condition:
    """Return the condition that `text` writes down.

    Raises:
        ValueError: it is none; names the column of the text where it goes wrong, and what was expected there.
    """
    if len(text) > MAX_TEXT:
        raise ValueError(f"{len(text)} characters; at most {MAX_TEXT}")
    reader = _Reader(text)
    name, known = reader.statistic()
    reader.sign("(")
    column = None if reader.accepts("*") else reader.name("a column's name or *")
    second: str | None = None
    if known.of == "pairs" and column is not None:
        reader.sign(",")
        second = reader.name("the other column of the pair")
    segment: dict[str, str] = {}
    while known.of != "pairs" and reader.accepts(","):
        begins = reader.at
        dimension = reader.name("a dimension's name")
        reader.sign("=")
        if dimension in segment:
            raise reader.wrong(f"{dimension!r} is given twice", begins)
        segment[dimension] = reader.value()
    reader.sign(")")
    comparison = reader.comparison()
    number = reader.number()
    multiple_at = reader.at
    of_reference = reader.accepts("x")
    if of_reference:
        if not known.has_reference:
            raise reader.wrong(f"a multiple of the reference says nothing of {name}", multiple_at)
        reader.sign("reference")
    windows = reader.windows() if reader.accepts("for") else 1
    reader.end()
    return Condition(
        statistic=name,
        column=column,
        second=second,
        segment=tuple(segment.items()),
        comparison=comparison,
        number=number,
        of_reference=of_reference,
        windows=windows,
    )


class _Reader:
    """Reads a text from left to right; spaces between its parts mean nothing."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.at = 0
        self._skip()

    def wrong(self, why: str, at: int | None = None) -> ValueError:
        """Return the error that something is wrong here, or at a place before."""
        return ValueError(f"{self._text!r}, column {(self.at if at is None else at) + 1}: {why}")

    def statistic(self) -> tuple[str, Statistic]:
        begins = self.at
        name = self._take(_WORD) or ""
        if name not in STATISTICS:
            raise self._unexpected(f"a statistic ({', '.join(STATISTICS)})", begins)
        return name, STATISTICS[name]

    def sign(self, sign: str) -> None:
        if not self.accepts(sign):
            raise self._unexpected(repr(sign))

    def accepts(self, sign: str) -> bool:
        if not self._text.startswith(sign, self.at):
            return False
        self.at += len(sign)
        self._skip()
        return True

    def name(self, expected: str) -> str:
        return self._named(_PLAIN_NAME, expected)

    def value(self) -> str:
        return class_text(self._named(_PLAIN_VALUE, "a segment's value"))

    def comparison(self) -> Comparison:
        match self._take(_COMPARISON):
            case "<" | "<=" | ">" | ">=" as found:
                return found
            case _:
                raise self._unexpected("a comparison (<, <=, >, >=)")

    def number(self) -> float:
        begins = self.at
        found = float(self._take(_NUMBER) or "nan")
        if not math.isfinite(found):
            raise self._unexpected("a number", begins)
        return found + 0.0

    def windows(self) -> int:
        begins = self.at
        windows = int(self._take(_COUNT) or 0)
        if not 1 <= windows <= MAX_WINDOWS:
            raise self._unexpected(f"a number of windows from 1 to {MAX_WINDOWS}", begins)
        if self._take(_WINDOWS) is None:
            raise self._unexpected("'windows'")
        return windows

    def end(self) -> None:
        if self.at < len(self._text):
            raise self._unexpected("the end")

    def _named(self, plain: re.Pattern[str], expected: str) -> str:
        quoted = self._take(_QUOTED)
        found = self._take(plain) if quoted is None else re.sub(r"\\(.)", r"\1", quoted[1:-1])
        if found is None:
            raise self._unexpected(expected)
        return found

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self._text, self.at)
        if found is None:
            return None
        self.at = found.end()
        self._skip()
        return found[0]

    def _skip(self) -> None:
        while self.at < len(self._text) and self._text[self.at].isspace():
            self.at += 1

    def _unexpected(self, expected: str, at: int | None = None) -> ValueError:
        place = self.at if at is None else at
        rest = self._text[place : place + 20]
        return self.wrong(f"expected {expected}, found {repr(rest) if rest else 'the end'}", place)


def _written(name: str, plain: re.Pattern[str]) -> str:
    if plain.fullmatch(name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

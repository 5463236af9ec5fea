"""Rules against a baseline: which series each one watches, and where its limits are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from services.detector.baseline import ALL, Baseline, Column, Segmentation, cell_label, window_rows
from services.detector.rules.readings import Readings
from shared.conditions import STATISTICS, Condition
from shared.errors import ConfigurationError
from shared.monitors import ModelSpec
from shared.rules import Every, Rule, read_rules
from shared.values import MISSING_LEVEL, OTHER_LEVEL

_LISTED = 10  # names in a message


@dataclass(frozen=True, slots=True)
class BoundRule:
    """A rule with the series that it watches: columns of one cell, in windows of one kind."""

    rule: Rule
    cell: int | None  # of the baseline; None: one that the log may bring
    segment: str  # the cell's name
    every: Every
    limits: Mapping[str, float]  # column, or pair, to what its statistic is compared with

    @property
    def is_of_pairs(self) -> bool:
        """Tell whether it watches pairs of columns, which have windows of their own."""
        return STATISTICS[self.rule.condition.statistic].of == "pairs"

    def found(self, readings: Readings, every: Every) -> Iterator[tuple[str, float, bool]]:
        """Yield the columns of which a closed window of a kind knows the statistic, its value, and if it is met.

        Met is what the rule is there for: what it says when is true, or what it expects is not.
        """
        if every != self.every:
            return
        for column, limit in self.limits.items():
            value = readings.get((column, self.segment), {}).get(self.rule.condition.statistic)
            if value is not None:
                yield column, value, self.rule.fires(value, limit)


def bind(model: str, spec: ModelSpec, baseline: Baseline) -> list[BoundRule]:
    """Return the rules of a model's configuration.

    Raises:
        ConfigurationError: one names what the baseline does not have; names the rule's path.
    """
    path = f"models.{model}.alerts.rules"
    found: list[BoundRule] = []
    for number, rule in enumerate(read_rules(path, spec.alerts.rules)):
        try:
            found.append(bound_rule(rule, baseline, may_be_new=spec.new_segments > 0))
        except ValueError as exc:
            raise ConfigurationError(f"{path}.{number}", f"{rule.text}: {exc}") from exc
    return found


def bound_rule(rule: Rule, baseline: Baseline, *, may_be_new: bool = False) -> BoundRule:
    """Return one rule with the series that it watches.

    may_be_new: whether a segment that the reference does not hold may get a cell from the log.

    Raises:
        ValueError: it names what the baseline does not have.
    """
    condition = rule.condition
    if STATISTICS[condition.statistic].of == "pairs":
        return _of_pairs(rule, baseline)
    segment, cell = _cell(condition.segment, baseline, may_be_new=may_be_new)
    every = Every(events=own_rows(segment)) if rule.every is None else rule.every
    if cell is None and every != Every(events=own_rows(segment)):
        raise ValueError(f"the reference does not hold the segment; leave out every, for {own_rows(segment)} events")
    limits = {column.name: _limit(condition, column, baseline, cell) for column in _columns(condition, baseline, cell)}
    return BoundRule(rule, cell, segment, every, limits)


def _of_pairs(rule: Rule, baseline: Baseline) -> BoundRule:
    condition, every = rule.condition, Every(events=own_rows(ALL))
    pairs = [] if baseline.pairs is None else baseline.pairs.correlations
    if rule.every not in {None, every}:
        raise ValueError(f"pairs have windows of {every.text}; leave out every")
    if not pairs:
        raise ValueError("no correlation is watched; name the pair among the model's pairs")
    wanted = {condition.column, condition.second}
    limits = {pair.name: condition.number for pair in pairs if condition.column is None or {*pair.columns} == wanted}
    if not limits:
        raise ValueError(f"no such pair is watched, only {_some(pair.name for pair in pairs)}; name it among pairs")
    return BoundRule(rule, baseline.cells.index(ALL), ALL, every, limits)


def own_rows(segment: str) -> int:
    """Return the rows of the windows that detection closes of a segment, whoever asks for them."""
    return window_rows(0 if segment == ALL else 1)


def _columns(condition: Condition, baseline: Baseline, cell: int | None) -> Iterator[Column]:
    if condition.column is None:
        features = [column for column in baseline.columns if column.role == "feature"]
        watched = [column for column in features if not _why_not(condition.statistic, column, cell)]
        if not watched:
            reasons = (_why_not(condition.statistic, column, cell) for column in features)
            raise ValueError(f"no feature has this statistic: {next(reasons, 'there is none')}")
        yield from watched
        return
    column = next((column for column in baseline.columns if column.name == condition.column), None)
    if column is None:
        raise ValueError(f"there is no column {condition.column!r}, only {_some(c.name for c in baseline.columns)}")
    why_not = _why_not(condition.statistic, column, cell)
    if why_not:
        raise ValueError(why_not)
    yield column


def _why_not(statistic: str, column: Column, cell: int | None) -> str:
    """Return why a column has no such statistic; empty where it has."""
    of = STATISTICS[statistic].of
    if of == "numbers" and not column.is_numeric:
        return f"{column.name} holds categories, which have no {statistic}"
    if of == "categories" and column.is_numeric:
        return f"{column.name} holds numbers, which have no {statistic}"
    if statistic == "out_of_range_rate" and not column.has_range:
        return f"{column.name} has no range; give features.{column.name} a min or a max"
    if statistic == "out_of_range_rate" and cell != 0:
        return "it is counted on all traffic only"
    if statistic == "new_category_rate" and OTHER_LEVEL in column.levels:
        return f"the reference has more categories of {column.name} than are kept, so none can be told to be new"
    return ""


def _cell(segment: tuple[tuple[str, str], ...], baseline: Baseline, *, may_be_new: bool) -> tuple[str, int | None]:
    """Return the name of a segment's cell and the cell; None for one that the log may bring."""
    if not segment:
        return ALL, baseline.cells.index(ALL)
    values = dict(segment)
    segmentation = next((s for s in baseline.segmentations if set(s.dimensions) == set(values)), None)
    if segmentation is None:
        known = _some(",".join(s.dimensions) for s in baseline.segmentations) or "none"
        raise ValueError(f"nothing is segmented by {','.join(values)}; segments are {known}")
    combination = [values[dimension] for dimension in segmentation.dimensions]
    name = cell_label(segmentation.dimensions, combination)
    cells = _cells_of(segmentation, baseline)
    if name not in cells and not (may_be_new and segmentation.is_new(combination)):
        raise ValueError(f"the reference has no segment {name}, only {_some(iter(cells))}")
    return name, cells.get(name)


def _cells_of(segmentation: Segmentation, baseline: Baseline) -> dict[str, int]:
    cells = [*range(segmentation.first, segmentation.first + len(segmentation.combinations)), segmentation.other]
    return {baseline.cells[cell]: cell for cell in cells}


def _limit(condition: Condition, column: Column, baseline: Baseline, cell: int | None) -> float:
    """Return what the statistic of a column is compared with: the condition's number, or so many times the reference's.

    A multiple of nothing, or of less, is no limit that anybody means.
    """
    if not condition.of_reference:
        return condition.number
    if cell is None:
        raise ValueError("the reference does not hold the segment; give a number")
    rows = max(int(baseline.cell_rows[cell]), 1)
    if condition.statistic == "missing_rate":
        level = int(column.counts[cell, column.levels.index(MISSING_LEVEL)]) if MISSING_LEVEL in column.levels else 0
        reference = (int(column.missing[cell]) + level) / rows
    elif cell != 0:
        raise ValueError(f"the reference's {condition.statistic} is known on all traffic only; give a number")
    else:
        reference = {
            "mean": column.mean,
            "sd": column.sd,
            "median": column.median,
            "min": column.low,
            "max": column.high,
            "out_of_range_rate": column.outside / rows,
        }[condition.statistic]
    if reference <= 0:
        raise ValueError(
            f"the reference's {condition.statistic} of {column.name} is {reference:.4g}; give a number, for a multiple"
            " of that says nothing"
        )
    return condition.number * reference


def _some(names: Iterator[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return ", ".join(listed[:_LISTED]) + more

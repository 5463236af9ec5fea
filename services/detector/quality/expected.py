"""What a configuration expects of every row, bound to the columns that it names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from services.detector.baseline import Column
from services.detector.quality.flags import Flags, Look, Looks
from services.detector.structs import FloatArray
from shared.errors import ConfigurationError
from shared.monitors import ModelSpec
from shared.quality import FORMATS_OF_TIMES, Expectation, read_expectations


class Expected(NamedTuple):
    """Comparisons of numbers, and of times that are texts."""

    of_numbers: list[Expectation]
    of_times: list[Expectation]
    times: list[str]  # the columns that these read

    @classmethod
    def of(cls, model: str, spec: ModelSpec, columns: Sequence[Column]) -> Self:
        """Return what the configuration of a model expects of its columns.

        Raises:
            ConfigurationError: a side is neither a number nor a time, or one side is the one and the other the other;
                names the path.
        """
        path = f"models.{model}.quality.expect"
        features = [column for column in columns if column.role == "feature" and not column.is_numeric]
        told = {name for name, given in spec.features.items() if given.format in FORMATS_OF_TIMES}
        times = {column.name for column in features} & told
        numbers = {column.name for column in columns if column.is_numeric}
        found = cls([], [], [])
        for number, expectation in enumerate(read_expectations(path, spec.quality.expect)):
            is_of_times = expectation.left in times
            known = times if is_of_times else numbers
            for name in (expectation.left, expectation.right):
                if isinstance(name, str) and name not in known:
                    what = f"{name!r} is no column of {'times' if is_of_times else 'numbers'}"
                    hint = f"; a text is a time where its format is {' or '.join(FORMATS_OF_TIMES)}"
                    raise ConfigurationError(f"{path}.{number}", f"{expectation.text}: {what}{hint}")
            if not isinstance(expectation.right, str) and expectation.is_of_time != is_of_times:
                raise ConfigurationError(f"{path}.{number}", f"{expectation.text}: compares a number with a time")
            (found.of_times if is_of_times else found.of_numbers).append(expectation)
        sides = [name for one in found.of_times for name in (one.left, one.right) if isinstance(name, str)]
        found.times.extend(dict.fromkeys(sides))
        return found

    def broken(self, times: FloatArray) -> Flags:
        """Return the flags [comparisons of times, rows] of times [rows, columns] in milliseconds; NaN where is none."""
        series = {name: place for place, name in enumerate(self.times)}
        looks = Looks.of([Look.for_broken(expectation, series) for expectation in self.of_times])
        return looks.read(np.zeros((len(times), 0), np.int32), times)

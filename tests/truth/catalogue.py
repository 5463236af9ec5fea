"""Every experiment, in the order of the report."""

from __future__ import annotations

from tests.truth import bias, challengers, delays, fast_path, losses, quiet, rates, scores, seasons, shipped
from tests.truth.experiment import Experiment

_ALL: tuple[Experiment, ...] = (
    *quiet.EXPERIMENTS,
    *seasons.EXPERIMENTS,
    *shipped.EXPERIMENTS,
    *bias.EXPERIMENTS,
    *fast_path.EXPERIMENTS,
    *delays.EXPERIMENTS,
    *rates.EXPERIMENTS,
    *losses.EXPERIMENTS,
    *scores.EXPERIMENTS,
    *challengers.EXPERIMENTS,
)
EXPERIMENTS = {experiment.name: experiment for experiment in _ALL}

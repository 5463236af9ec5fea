"""The services among faults leave behind what a fold of the same logs gives. `make simulate` tells more stories."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter

import pytest

from tests.kit.repository import ROOT
from tests.simulation.run import Run
from tests.simulation.story import told_by
from tests.simulation.verdict import verdicts

SEEDS = range(320)


@pytest.fixture(scope="module")
def ended() -> tuple[Counter[str], list[int]]:
    return verdicts(SEEDS)


def test_every_story_ends_as_a_fold_of_its_logs(ended: tuple[Counter[str], list[int]]) -> None:
    assert ended[1] == []


def test_everything_that_may_go_wrong_goes_wrong(ended: tuple[Counter[str], list[int]]) -> None:
    counts, _ = ended

    often = {"kills", "zombies", "lost acknowledgements", "lost replies", "rewinds", "restores", "jumps", "rotations"}
    often |= {"duplicates dropped", "compare-and-set failures", "alerts repeated", "dead letters", "erasures"}
    often |= {"outputs written again", "outputs not written again"}
    often |= {"shares moved"}
    seldom = {
        "leaps",
        "leaps confirmed",
        "wipes",
        "outages",
        "trims",
        "truncations",
        "rebuilds",
        "checkpoints deleted",
        "definitions",
    }
    assert {what for what in often if counts[what] < 30} == set()
    assert {what for what in seldom if counts[what] < 3} == set()


def fingerprint(seed: int) -> str:
    """Return a digest of everything that a seed's run does and leaves behind."""
    run = Run(told_by(seed)).to_its_end()
    topics = ("driftline.halves", "driftline.observations", "alerts", "driftline.dead-letters")
    records = [(record.value, record.timestamp_ms) for topic in topics for record in run.broker.records(topic)]
    return hashlib.blake2b(repr((run.told, records)).encode()).hexdigest()


def test_a_seed_tells_the_same_story_in_every_process() -> None:
    kept = "from services.detector.adapters.kernel_cache import use_kernel_cache; use_kernel_cache()"
    script = f"{kept}; from {__name__} import fingerprint; print(fingerprint(5), fingerprint(8))"
    command = [sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)}
    other = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()

    assert other == [fingerprint(5), fingerprint(8)]

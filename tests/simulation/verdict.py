"""Whether a story ends well, and the shortest story that does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from services.detector.adapters.kernel_cache import use_kernel_cache
from tests.simulation.installation import Parts
from tests.simulation.judge import failures
from tests.simulation.run import NoProgressError, Run
from tests.simulation.story import Story, told_by


class Verdict(NamedTuple):
    """How a story ended."""

    story: Story
    problem: str | None  # None: as it must
    counts: Counter[str]
    told: list[str]


def prepare() -> None:
    """Make a process fit for stories: what services log of their troubles is not printed."""
    use_kernel_cache()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())


def verdict(story: Story, parts: Parts | None = None) -> Verdict:
    """Tell a story and judge what it left behind."""
    run = Run(story, parts)
    try:
        problem = next(failures(run.to_its_end()), None)
    except NoProgressError:
        problem = "the services never come to rest"
    except Exception as exc:  # noqa: BLE001 - whatever a service dies of is what was looked for
        problem = f"{type(exc).__name__}: {exc}"
    return Verdict(story, problem, run.counts, run.told)


def verdicts(seeds: Sequence[int]) -> tuple[Counter[str], list[int]]:
    """Return what happened in the stories of these seeds, and those that did not end well."""
    counts: Counter[str] = Counter()
    failed: list[int] = []
    for seed in seeds:
        found = verdict(told_by(seed))
        counts += found.counts
        failed += [seed] if found.problem is not None else []
    return counts, failed


def shortest(failing: Verdict, parts: Parts | None = None) -> Verdict:
    """Return a failing story from which no event and no fault can be left out alone."""
    best, before = failing, None
    while best is not before:
        before = best
        for what in ("faults", "events"):
            best = _without(best, what, parts)
    return best


def _without(failing: Verdict, what: str, parts: Parts | None) -> Verdict:
    best = failing
    size = max(1, len(getattr(best.story, what)) // 2)
    while size:
        at = 0
        while at < len(getattr(best.story, what)):
            shorter = verdict(best.story.without(**{what: slice(at, at + size)}), parts)
            if shorter.problem is None:
                at += size
            else:
                best = shorter
        size //= 2
    return best


def account(failing: Verdict, shorter: Verdict) -> str:
    """Return what people read of a failure."""
    story, seed = shorter.story, failing.story.seed
    lines = [
        f"seed {seed}: {failing.problem}",
        f"the shortest story that fails has {len(story.events)} events and {len(story.faults)} faults:",
        *(f"  {line}" for line in shorter.told),
        f"  {shorter.problem}",
        f'again: make simulate ARGS="--seed {seed}"',
    ]
    return "\n".join(lines)

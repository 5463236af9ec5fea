"""Runs benchmarks one after another, on servers of their own where they need any."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from services.cli.bench.figure import Bench, BenchFailed, Place
from services.cli.bench.report import Environment, Report, Result, report, results
from services.detector.adapters.kernel_cache import use_kernel_cache
from services.devstack.adapters.stack import RunningStack, running_stack
from services.devstack.stack import StackOptions
from shared.adapters.kafka import KafkaAdmin
from shared.settings import Settings

LIBRARIES = ("confluent-kafka", "hiredis", "msgspec", "numba", "numpy", "orjson", "pyarrow", "redis", "xxhash")

Told = Callable[[str, int], None]  # what is being done, how many runs are done


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """How to measure."""

    repeat: int
    events: int
    cache: Path


def bench_of(name: str) -> Bench:
    """Return a benchmark.

    Raises:
        BenchFailed: what it compares with is not installed.
    """
    try:
        found: Bench = import_module(f"services.cli.adapters.bench.{name}").BENCH
    except ModuleNotFoundError as exc:
        raise BenchFailed(
            f"{name} compares with {exc.name}, which is not installed: install it, or name the benchmarks to run"
        ) from exc
    return found


def run(names: Sequence[str], options: BenchOptions, told: Told) -> Report:
    """Measure `repeat` times, after one run that is not counted.

    Raises:
        BenchFailed: what a benchmark compares with is not installed, or cannot be.
        StackFailed: Kafka or Redis do not start.
        ConfigurationError: a setting in the environment is wrong.
    """
    use_kernel_cache()  # for all of them: whatever folds a model's baseline needs kernels
    benches = {name: bench_of(name) for name in names}
    found: list[Result] = []
    with ExitStack() as undo:
        stack = None
        if any(bench.needs_stack for bench in benches.values()):
            asked = StackOptions(cache=options.cache, kafka_port=0, redis_port=0)
            stack = undo.enter_context(running_stack(asked, lambda text: told(text, 0)))
        for name, bench in benches.items():
            told(name, 0)
            runs: list[Mapping[str, float]] = []
            with bench.ready(Place(_settings(name, stack, options), options.events)) as measure:
                measure()
                while len(runs) < options.repeat:
                    runs.append(measure())
                    told(name, 1)
            found += results(bench.figures, runs)
        return report(_environment(stack), options.events, found)


def _settings(name: str, stack: RunningStack | None, options: BenchOptions) -> Settings:
    """Return settings with topics that exist and that no other benchmark uses."""
    settings = Settings(
        topic_prefix=f"{name}.", installation=f"bench-{name}", id_key="bench", health_port=0, cache=str(options.cache)
    )
    if stack is None:
        return settings
    settings = settings.of_open_servers(stack.bootstrap, stack.redis_url)
    KafkaAdmin(settings.kafka, "bench").create(settings.topics.specs())
    return settings


def _libraries() -> Iterator[tuple[str, str]]:
    yield from ((name, version(name)) for name in LIBRARIES)
    with suppress(PackageNotFoundError):  # some benchmarks compare with it; the services do not need it
        yield "river", version("river")


def _environment(stack: RunningStack | None) -> Environment:
    return Environment(
        machine=f"{platform.system()} {platform.machine()}",
        cpus=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        python=platform.python_version(),
        libraries=dict(_libraries()),
        servers={}
        if stack is None
        else {"Kafka": stack.kafka_version, "Java": str(stack.java_version), "Redis": stack.redis_version},
    )

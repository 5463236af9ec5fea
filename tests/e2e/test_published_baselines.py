from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from services.cli.__main__ import main
from services.cli.adapters.hosting import prepare
from services.cli.configuration import read_configuration
from services.cli.demo import sets
from services.cli.exits import Exit
from shared.adapters.kafka import KafkaReader
from shared.control import read_catalogue
from shared.errors import ConfigurationError
from shared.settings import Settings

BIKES = sets.folder("bikes") / "driftline.yaml"


def test_services_need_no_reference_once_its_baseline_is_published(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    alone = read_configuration(Path(shutil.copy(BIKES, tmp_path)))

    codes = [main(["topics", "create", "--config", str(BIKES)])]
    with pytest.raises(ConfigurationError, match=r"reference\.parquet cannot be read"):
        prepare(settings, alone, rebuild=False)
    codes += [main(["baseline", "build", str(BIKES), "--publish"]) for _ in range(2)]
    prepare(settings, alone, rebuild=False)

    reader = KafkaReader(settings.kafka, "test")
    catalogue = read_catalogue(reader, settings.topics)
    reader.close()
    assert codes == [Exit.OK] * 3
    assert (list(catalogue.current), len(catalogue.definitions), len(catalogue.baselines)) == (["bikes"], 1, 1)


def test_a_baseline_is_not_published_where_there_are_no_topics(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)

    assert main(["baseline", "build", str(BIKES), "--publish"]) == Exit.CONFIGURATION
    assert "create them with `driftline topics create" in capsys.readouterr().err

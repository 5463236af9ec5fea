from __future__ import annotations

import msgspec
import pyarrow as pa
import pytest

from services.cli.armed import heading, report
from services.cli.publication import Publication, missing, publish
from services.detector.baseline import Baseline
from services.detector.baseline_build import build_baseline
from shared.adapters.memory import ManualClock, MemoryBroker
from shared.control import read_catalogue
from shared.definition import Catalogue
from shared.monitors import ActionSpec, ModelSpec, RetrainSpec
from shared.topics import Topics
from shared.webhooks import WebhookSpec

TOPICS = Topics()
SPEC = ModelSpec(task="regression", reference="reference.csv")
OTHER_SPEC = msgspec.structs.replace(SPEC, label_horizon="2d")


def reference(shift: float = 0.0) -> pa.Table:
    return pa.table({"x": [shift + number % 17 for number in range(600)], "prediction": [1.0, 2.0, 3.0] * 200})


def build(model: str, spec: ModelSpec) -> Baseline:
    return build_baseline(model, spec, reference())


def refuse(model: str, spec: ModelSpec) -> Baseline:
    pytest.fail(f"the baseline of {model} {spec} was built")


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker(ManualClock())
    broker.create(*TOPICS.specs())
    return broker


def catalogue_of(broker: MemoryBroker, *found: Publication) -> Catalogue:
    for publication in found:
        publish(broker.writer(), TOPICS, publication)
    return read_catalogue(broker.reader(), TOPICS)


def test_what_is_published_is_read_back_as_the_models_current_definition(broker: MemoryBroker) -> None:
    (found,) = missing({"m": SPEC}, Catalogue(), build, rebuild=False)

    catalogue = catalogue_of(broker, found)

    assert catalogue.definitions[catalogue.current["m"]] == found.definition
    assert catalogue.baselines[found.definition.baseline_hash] == found.baseline


def test_a_published_configuration_is_neither_built_nor_written_again(broker: MemoryBroker) -> None:
    catalogue = catalogue_of(broker, Publication.of("m", SPEC, build("m", SPEC)))

    assert list(missing({"m": SPEC}, catalogue, refuse, rebuild=False)) == []


def test_a_rebuild_of_the_same_reference_writes_nothing(broker: MemoryBroker) -> None:
    catalogue = catalogue_of(broker, Publication.of("m", SPEC, build("m", SPEC)))

    assert list(missing({"m": SPEC}, catalogue, build, rebuild=True)) == []


def test_a_rebuild_notices_a_reference_that_changed_under_its_name(broker: MemoryBroker) -> None:
    catalogue = catalogue_of(broker, Publication.of("m", SPEC, build("m", SPEC)))

    found = list(
        missing({"m": SPEC}, catalogue, lambda m, spec: build_baseline(m, spec, reference(shift=1.0)), rebuild=True)
    )

    assert [publication.definition.baseline_hash in catalogue.baselines for publication in found] == [False]


def test_a_return_to_an_earlier_configuration_is_written_again_with_a_higher_version(broker: MemoryBroker) -> None:
    first, second = (Publication.of("m", spec, build("m", spec)) for spec in (SPEC, OTHER_SPEC))
    before = catalogue_of(broker, first, second)

    after = catalogue_of(broker, *missing({"m": SPEC}, before, build, rebuild=False))

    assert before.current["m"] == second.definition.hash
    assert after.current["m"] == first.definition.hash
    assert after.version("m") > before.version("m")


def test_the_report_says_why_a_column_may_not_page() -> None:
    found = report(build("m", SPEC))

    columns = {column.name: (column.is_armed, column.why_not) for column in found.columns}
    assert columns["x"] == (False, "reference is thin (600 rows; needs 10000)")
    assert heading("m", found).startswith("m: regression, 600 reference rows, 1 cells; armed 0% of all traffic")


def test_a_webhooks_secret_and_path_are_never_published(broker: MemoryBroker) -> None:
    webhook = WebhookSpec(url="https://example.org/T0/hunter2?token=hunter3", secret="whsec_c2VjcmV0")  # noqa: S106
    retrain = RetrainSpec(when="on_drift", action=ActionSpec(webhook=webhook))
    spec = msgspec.structs.replace(SPEC, retrain=retrain)

    catalogue = catalogue_of(broker, Publication.of("m", spec, build("m", spec)))

    published = b"".join(record.value or b"" for record in broker.records(TOPICS.control))
    assert b'"url":"https://example.org/"' in published
    assert b"whsec_" not in published
    assert b"hunter" not in published
    assert list(missing({"m": spec}, catalogue, refuse, rebuild=False)) == []

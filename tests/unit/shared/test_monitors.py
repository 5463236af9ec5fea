"""`driftline.yaml`: the example works as written, and every mistake is refused with its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import ConfigurationError
from shared.monitors import (
    MAX_BYTES,
    ActionSpec,
    AlertsSpec,
    DegradationSpec,
    DropSpec,
    FeatureSpec,
    ModelSpec,
    Monitors,
    NotifyRoute,
    RetrainSpec,
    WebhookSpec,
    parse_monitors,
    parse_when,
    read_monitors,
)

FOLDER = Path(__file__).parents[2] / "monitors"
MODEL = "  m{}: {{task: regression, reference: r.csv}}\n"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("bad_*.yaml")), ids=lambda path: path.stem)
def test_a_mistake_is_refused_with_the_message_in_its_first_line(path: Path) -> None:
    content = path.read_bytes()
    expected = content.decode().splitlines()[0].removeprefix("# ")

    with pytest.raises(ConfigurationError) as refused:
        parse_monitors(content)

    assert str(refused.value) == expected


def test_the_minimal_example_decodes_to_what_it_says() -> None:
    monitors = read_monitors(FOLDER / "minimal.yaml")

    assert monitors == Monitors(
        models={
            "car_loan": ModelSpec(
                task="binary",
                positive_class=1.0,
                reference="reference.parquet",
                segments=["salary_range", "repaid_before", ["salary_range", "repaid_before"]],
                label_horizon="120d",
                features={"driver_tenure": FeatureSpec(min=0.0, max=80.0)},
                alerts=AlertsSpec(false_pages_per_month=2.0),
                degradation=DegradationSpec(accuracy=DropSpec(drop=0.05)),
                retrain=RetrainSpec(
                    when="on_accuracy_drop OR on_drift OR scheduled_weekly",
                    cool_down="1d",
                    action=ActionSpec(webhook=WebhookSpec(url="http://127.0.0.1:9999/retrain")),
                ),
            )
        },
        notify=[NotifyRoute(to="log")],
    )


def test_what_follows_from_a_model_s_configuration() -> None:
    model = read_monitors(FOLDER / "minimal.yaml").models["car_loan"]

    assert model.horizon_ms == 120 * 86_400_000
    assert model.positive == "1"
    assert model.dimensions == ("salary_range", "repaid_before")
    assert model.crosses == (("salary_range",), ("repaid_before",), ("salary_range", "repaid_before"))


def test_defaults_are_ninety_days_and_two_false_pages() -> None:
    model = parse_monitors(b"models: {m: {task: regression, reference: r.csv}}").models["m"]

    assert model.horizon_ms == 90 * 86_400_000
    assert model.alerts.false_pages_per_month == 2.0
    assert model.crosses == ()
    assert model.spread == 1


def test_a_regression_has_no_positive_class() -> None:
    model = parse_monitors(b"models: {m: {task: regression, reference: r.csv}}").models["m"]

    with pytest.raises(ValueError, match="a regression task has no positive class"):
        _ = model.positive


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"no/such\.yaml: cannot be read: No such file or directory"):
        read_monitors(Path("no/such.yaml"))


def test_a_file_that_is_too_long_is_not_parsed() -> None:
    with pytest.raises(ConfigurationError, match=f"{MAX_BYTES + 1} bytes; at most {MAX_BYTES}"):
        parse_monitors(b"#" * (MAX_BYTES + 1))


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="not YAML"):
        parse_monitors(b"models: " + b"[" * 5_000)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="not YAML"):
        parse_monitors(b"models: \xff\xfe")


def test_a_thousand_models_are_watched_and_one_more_is_refused() -> None:
    thousand = "models:\n" + "".join(MODEL.format(i) for i in range(1_000))

    assert len(parse_monitors(thousand.encode()).models) == 1_000
    with pytest.raises(ConfigurationError, match="models: 1001 models; at most 1000"):
        parse_monitors((thousand + MODEL.format(1_000)).encode())


def test_more_than_512_features_are_refused() -> None:
    features = ", ".join(f"f{i}: {{}}" for i in range(513))

    with pytest.raises(ConfigurationError, match=r"models\.m\.features: 513 features; at most 512"):
        parse_monitors(f"models: {{m: {{task: regression, reference: r.csv, features: {{{features}}}}}}}".encode())


def test_triggers_keep_their_order_and_lose_their_repeats() -> None:
    assert parse_when("on_drift OR scheduled_weekly OR on_drift") == ("on_drift", "scheduled_weekly")

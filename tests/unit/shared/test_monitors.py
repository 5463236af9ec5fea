"""`driftline.yaml`: the example works as written, and every mistake is refused with its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.degradation import DegradationSpec
from shared.errors import ConfigurationError
from shared.events.alert import Severity
from shared.monitors import (
    MAX_BYTES,
    ActionSpec,
    AlertsSpec,
    FeatureSpec,
    ModelSpec,
    Monitors,
    RetrainSpec,
    parse_monitors,
    parse_when,
    read_monitors,
)
from shared.notify import ChannelSpec, NotifyMatch, NotifyRoute
from shared.webhooks import WebhookSpec

FOLDER = Path(__file__).parents[2] / "monitors"
WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL
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
                degradation={"accuracy": DegradationSpec(drop=0.05)},
                retrain=RetrainSpec(
                    when="on_accuracy_drop OR on_drift OR scheduled_weekly",
                    cool_down="1d",
                    action=ActionSpec(webhook=WebhookSpec(url="http://127.0.0.1:9999/retrain")),
                ),
            )
        },
        notify=[NotifyRoute(to="log")],
    )


ROUTED = b"""
models: {loan: {task: regression, reference: r.csv}, bikes: {task: regression, reference: r.csv}}
notify:
  - {to: log}
  - {match: {severity: critical, model: loan}, to: [ops, log], every: 4h}
  - {match: {severity: [warning, critical], model: [loan, bikes]}, to: ops}
channels:
  ops: {webhook: {url: "https://example.org/hook", secret: hunter2}}
"""


def test_routes_name_severities_models_channels_and_how_often() -> None:
    monitors = parse_monitors(ROUTED)

    assert monitors.notify == [
        NotifyRoute(to="log"),
        NotifyRoute(to=["ops", "log"], match=NotifyMatch(severity=CRITICAL, model="loan"), every="4h"),
        NotifyRoute(to="ops", match=NotifyMatch(severity=[WARNING, CRITICAL], model=["loan", "bikes"])),
    ]
    assert monitors.channels == {
        "ops": ChannelSpec(webhook=WebhookSpec(url="https://example.org/hook", secret="hunter2"))  # noqa: S106 - none
    }
    assert [
        (route.channels, route.match.severities, route.match.models, route.every_ms) for route in monitors.notify
    ] == [
        (("log",), None, None, None),
        (("ops", "log"), {CRITICAL}, {"loan"}, 14_400_000),
        (("ops",), {WARNING, CRITICAL}, {"loan", "bikes"}, None),
    ]


def test_no_text_of_a_configuration_holds_a_channel_s_secret_or_url() -> None:
    assert "hunter2" not in repr(parse_monitors(ROUTED))
    assert "example.org" not in repr(parse_monitors(ROUTED))


def test_more_channels_than_can_be_kept_apart_are_refused() -> None:
    channels = "".join(f"  c{i}: {{webhook: {{url: 'http://127.0.0.1/'}}}}\n" for i in range(17))

    with pytest.raises(ConfigurationError, match="channels: 17 channels; at most 16"):
        parse_monitors(f"models:\n{MODEL.format(0)}channels:\n{channels}".encode())


def test_more_routes_than_anybody_reads_are_refused() -> None:
    routes = "  - {to: log}\n" * 257

    with pytest.raises(ConfigurationError, match="notify: 257 routes; at most 256"):
        parse_monitors(f"models:\n{MODEL.format(0)}notify:\n{routes}".encode())


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


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("pattern: '('", "no pattern of RE2"),
        ("pattern: a, format: email", "give one of both"),
        ("pattern: a, hash: true", "only texts have a pattern, and a hash has none"),
        ("pattern: a, kind: numeric", "only texts have a pattern, and a hash has none"),
    ],
)
def test_a_pattern_that_says_nothing_of_a_column_is_refused_by_its_path(given: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"models\.m\.features\.sku\.pattern: .*{why}"):
        parse_monitors(
            f"models: {{m: {{task: regression, reference: r.csv, features: {{sku: {{{given}}}}}}}}}".encode()
        )

"""Topics."""

from __future__ import annotations

from shared.topics import DAY_MS, Topics

NAMES = [
    "predictions",
    "ground-truth",
    "driftline.halves",
    "driftline.observations",
    "alerts",
    "driftline.incidents",
    "retraining",
    "driftline.profiles",
    "driftline.control",
    "driftline.checkpoints",
    "driftline.dead-letters",
]


def test_every_topic_is_specified_once() -> None:
    assert [spec.name for spec in Topics().specs()] == NAMES


def test_a_prefix_stands_before_every_name() -> None:
    assert [spec.name for spec in Topics(prefix="eu.").specs()] == [f"eu.{name}" for name in NAMES]


def test_partitions_follow_the_installation() -> None:
    topics = Topics(halves_partitions=8, observations_partitions=3, alerts_partitions=5, input_partitions=6)

    assert [spec.partitions for spec in topics.specs()] == [6, 6, 8, 3, 5, 5, 5, 3, 1, 3, 1]


def test_halves_are_kept_for_twice_the_longest_horizon() -> None:
    kept = {spec.name: spec.config.get("retention.ms") for spec in Topics().specs(longest_horizon_ms=120 * DAY_MS)}

    assert kept["driftline.halves"] == str(240 * DAY_MS)
    assert kept["driftline.observations"] == str(3 * DAY_MS)


def test_observations_are_kept_for_the_longest_warm_up_and_three_days_more() -> None:
    kept = {spec.name: spec.config.get("retention.ms") for spec in Topics().specs(longest_warm_up_ms=14 * DAY_MS)}

    assert kept["driftline.observations"] == str(17 * DAY_MS)


def test_short_horizons_keep_halves_for_a_day() -> None:
    kept = {spec.name: spec.config.get("retention.ms") for spec in Topics().specs(longest_horizon_ms=60_000)}

    assert kept["driftline.halves"] == str(DAY_MS)


def test_internal_topics_stamp_log_time_and_latest_states_are_compacted() -> None:
    specs = Topics().specs()

    assert [spec.name for spec in specs if spec.config.get("message.timestamp.type") == "LogAppendTime"] == NAMES[2:]
    assert [spec.name for spec in specs if spec.config.get("cleanup.policy") == "compact"] == [
        "driftline.incidents",
        "retraining",
        "driftline.control",
        "driftline.checkpoints",
    ]

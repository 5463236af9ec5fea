"""Every topic: name, partitions, retention, and how it is configured. `driftline topics` and all services read this."""

from __future__ import annotations

from dataclasses import dataclass, field

DAY_MS = 86_400_000
MIB = 1 << 20
DEFAULT_HORIZON_MS = 90 * DAY_MS


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic as it must exist."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Topics:
    """The names and sizes of one installation. A prefix serves several installations on one cluster."""

    prefix: str = ""
    halves_partitions: int = 4
    observations_partitions: int = 2
    alerts_partitions: int = 2
    input_partitions: int = 4

    def named(self, name: str) -> str:
        """Return `name` with the installation's prefix."""
        return f"{self.prefix}{name}"

    @property
    def predictions(self) -> str:
        """Return where producers write predictions."""
        return self.named("predictions")

    @property
    def ground_truth(self) -> str:
        """Return where producers write labels."""
        return self.named("ground-truth")

    @property
    def halves(self) -> str:
        """Return the merged log of both halves."""
        return self.named("driftline.halves")

    @property
    def observations(self) -> str:
        """Return the joined log."""
        return self.named("driftline.observations")

    @property
    def alerts(self) -> str:
        """Return what everyone subscribes to."""
        return self.named("alerts")

    @property
    def incidents(self) -> str:
        """Return the latest state of each open incident."""
        return self.named("driftline.incidents")

    @property
    def retraining(self) -> str:
        """Return decisions and outcomes."""
        return self.named("retraining")

    @property
    def profiles(self) -> str:
        """Return window statistics."""
        return self.named("driftline.profiles")

    @property
    def control(self) -> str:
        """Return model definitions and baselines."""
        return self.named("driftline.control")

    @property
    def checkpoints(self) -> str:
        """Return detector checkpoints."""
        return self.named("driftline.checkpoints")

    @property
    def dead_letters(self) -> str:
        """Return refused records' reasons and coordinates."""
        return self.named("driftline.dead-letters")

    def specs(self, longest_horizon_ms: int = DEFAULT_HORIZON_MS, longest_warm_up_ms: int = 0) -> list[TopicSpec]:
        """Return every topic; retention follows the longest label horizon, and the longest warm-up.

        Observations are kept three days longer than a warm-up takes: whoever builds its baseline may be late.
        """
        compacted = {"cleanup.policy": "compact"}
        # Whatever the producer used: not every client has lz4 (Faust's does not), every one has gzip.
        readable = {"compression.type": "gzip"}
        log_time = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": str(4 * MIB)}
        return [
            TopicSpec(self.predictions, self.input_partitions, {"max.message.bytes": str(MIB)}),
            TopicSpec(self.ground_truth, self.input_partitions, {"max.message.bytes": str(MIB)}),
            TopicSpec(
                self.halves,
                self.halves_partitions,
                {**log_time, "retention.ms": str(max(2 * longest_horizon_ms, DAY_MS))},
            ),
            TopicSpec(
                self.observations,
                self.observations_partitions,
                {**log_time, "retention.ms": str(longest_warm_up_ms + 3 * DAY_MS)},
            ),
            TopicSpec(self.alerts, self.alerts_partitions, {**log_time, **readable, "retention.ms": str(30 * DAY_MS)}),
            TopicSpec(self.incidents, self.alerts_partitions, {**log_time, **readable, **compacted}),
            TopicSpec(self.retraining, self.alerts_partitions, {**log_time, **readable, **compacted}),
            TopicSpec(self.profiles, self.observations_partitions, {**log_time, "retention.ms": str(30 * DAY_MS)}),
            TopicSpec(self.control, 1, {**log_time, **compacted}),
            # Whoever looks for a checkpoint reads all of it, and only closed segments are compacted.
            TopicSpec(
                self.checkpoints,
                self.observations_partitions,
                {**log_time, **compacted, "segment.bytes": str(32 * MIB)},
            ),
            TopicSpec(self.dead_letters, 1, {**log_time, "retention.ms": str(30 * DAY_MS)}),
        ]

"""What a detector shows of itself: its partitions, its checkpoints, and every model version that it watches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from services.detector.alert_log import AlertLog
from services.detector.challengers.measures import challenger_measures
from services.detector.estimates.expected import PREFIX
from services.detector.estimates.judging import GAP
from services.detector.estimates.measures import estimate_measures
from services.detector.fairness.measures import fairness_measures
from services.detector.figures import Figures, SeasonFigures, Told
from services.detector.keeping import Keeping
from services.detector.partition import MAX_VERSIONS, PartitionFold
from services.detector.sealing import MAX_STATE_BYTES
from services.detector.seasons.calibration import MAX_COUNTS
from services.detector.segments import MAX_CELLS
from services.detector.serving.measures import service_measures
from services.detector.watchdogs.unknown import MAX_NAMES
from shared.events.alert import IncidentEvent, IncidentKind
from shared.flow import Flow, positions
from shared.log import TopicPartition
from shared.measures import LOG_LABELS, Labels, Measure, bounded, number, of_logs
from shared.monitors import MAX_MODELS

DETECTORS = (
    "psi",
    "psi_days",
    "psi_trailing",
    "page_hinkley",
    "adwin",
    "e_detector",
    "rare_levels",
    "segment_shares",
    "label_shares",
    "quality",
    "lr_cusum",
    "accuracy_drop",
    "cohort_cusum",
    "rule",
    "advisory",
    "watchdog",
)
WATCH: Labels = ("model", "model_version")

Watched = Mapping[tuple[str, str], Figures]  # by model and version


@dataclass(slots=True)
class Account:
    """Kept by the stage, once a poll."""

    records_out: Counter[str]  # by topic
    keeping: Keeping
    alerts: AlertLog
    flow: Flow = field(default_factory=Flow)

    def measures(
        self,
        folds: Mapping[TopicPartition, PartitionFold],
        saved: Mapping[TopicPartition, int],
        lag: Mapping[TopicPartition, int],
        told: Told,
    ) -> Iterator[Measure]:
        """Yield everything. Counters of rows are the watches' own, and go on where a checkpoint left them."""
        yield from self.flow.records()
        yield from positions(saved, lag)
        yield from self._partitions(folds)
        yield from self._checkpoints(folds)
        yield Measure(
            "detector_state_bytes",
            "Bytes of a model version in the last checkpoint.",
            {key: size for fold in folds.values() for key, size in fold.state_bytes.items()},
            WATCH,
        )
        yield from _said(told)
        yield number(
            "detector_alerts_repeated_total",
            "Alerts that followed again from a log that was read again, and were in their topic.",
            self.alerts.repeated,
        )
        watched = {key: watch.figures() for fold in folds.values() for key, watch in fold.watches.items()}
        yield from _watches(watched)
        yield from _incidents(watched, folds)
        yield from _performance(watched)
        yield from service_measures(watched, WATCH)
        yield from estimate_measures(watched, WATCH)
        yield from _rings(watched)
        yield from fairness_measures(watched)
        compared = {model: found for fold in folds.values() for model, found in fold.challengers.figures().items()}
        yield from challenger_measures(compared)

    def _partitions(self, folds: Mapping[TopicPartition, PartitionFold]) -> Iterator[Measure]:
        yield Measure(
            "detector_records_out_total",
            "Records written, by topic; repeated ones included.",
            {(topic,): count for topic, count in self.records_out.items()},
            ("topic",),
        )
        yield of_logs(
            "log_timestamp_seconds",
            "Log time, by which entries expire and heartbeats are due.",
            {source: fold.log_time / 1000 for source, fold in folds.items()},
        )
        yield of_logs(
            "detector_duplicates_total",
            "Observations that were dropped because they had come before.",
            {source: fold.duplicates for source, fold in folds.items()},
        )
        yield of_logs(
            "detector_anchored_shards",
            "Shards whose first observations this detector never saw.",
            {source: len(fold.anchored) for source, fold in folds.items()},
        )

    def _checkpoints(self, folds: Mapping[TopicPartition, PartitionFold]) -> Iterator[Measure]:
        logs = {fold.partition: (source.topic, str(source.partition)) for source, fold in folds.items()}
        copies = {(*logs[number], place): copy for (number, place), copy in self.keeping.copies.items()}
        labels = (*LOG_LABELS, "place")
        yield number("detector_checkpoints_total", "Checkpoints saved, in any place.", self.keeping.saved)
        yield Measure(
            "detector_checkpoint_timestamp_seconds",
            "When the last checkpoint was saved.",
            {at: copy.saved_ms / 1000 for at, copy in copies.items()},
            labels,
        )
        yield from bounded(
            "detector_checkpoint_bytes",
            "Bytes of the last checkpoint, compressed. The limit is that of its state.",
            {at: copy.size for at, copy in copies.items()},
            MAX_STATE_BYTES,
            labels,
        )
        yield Measure(
            "detector_checkpoints_passed_over_total",
            "Checkpoints that were not whole when a detector looked for one to go on from.",
            {(place,): count for place, count in self.keeping.passed_over.items()},
            ("place",),
        )


def _said(told: Told) -> Iterator[Measure]:
    yield Measure(
        "detector_alerts_total",
        "Alerts that followed from the log, by event; repeated ones included.",
        {(event.name.lower(),): told.alerts[event.name.lower()] for event in IncidentEvent},
        ("event",),
    )
    yield Measure(
        "detector_detections_total",
        "Detections that passed their gate, by detector, whether or not they opened an incident.",
        {(detector,): told.detections[detector] for detector in DETECTORS},
        ("detector",),
    )


def _incidents(watched: Watched, folds: Mapping[TopicPartition, PartitionFold]) -> Iterator[Measure]:
    kinds = Counter(kind for figures in watched.values() for kind in figures.open_incidents)
    kinds[IncidentKind.WATCHDOG] += sum(fold.watchdogs.amiss for fold in folds.values())
    yield Measure(
        "detector_open_incidents",
        "Open incidents, by leading kind.",
        {(kind.value,): kinds[kind] for kind in IncidentKind},
        ("kind",),
    )
    yield from bounded(
        "detector_models",
        "Models that watchdogs look after; beyond the limit there are none for more.",
        {(source.topic, str(source.partition)): len(fold.watchdogs.state.models) for source, fold in folds.items()},
        MAX_MODELS,
        LOG_LABELS,
    )
    models = [(name, model) for fold in folds.values() for name, model in fold.watchdogs.state.models.items()]
    yield from bounded(
        "detector_unknown_features",
        "Features that producers send and no configuration knows, by name; beyond the limit they are only counted.",
        {(name,): len(model.unknown.names) for name, model in models},
        MAX_NAMES,
        ("model",),
    )


def _watches(watched: Watched) -> Iterator[Measure]:
    def of_each(name: str, text: str, figure: Callable[[Figures], float]) -> Measure:
        samples: dict[Labels, float] = {key: figure(figures) for key, figures in watched.items()}
        return Measure(name, text, samples, WATCH)

    versions = Counter(model for model, _ in watched)
    yield from bounded(
        "detector_model_versions",
        "Versions of a model that are watched; one more ends the watch of the first.",
        {(model,): count for model, count in versions.items()},
        MAX_VERSIONS,
        ("model",),
    )
    yield of_each("detector_served_rows_total", "Predictions observed.", lambda figures: figures.rows_served)
    yield of_each("detector_labelled_rows_total", "Predictions labelled.", lambda figures: figures.rows_labelled)
    yield of_each(
        "detector_other_rows_total",
        "Predictions counted in a segment `__other__`: their values are rare or new.",
        lambda figures: figures.rows_other,
    )
    yield Measure(
        "detector_stream_timestamp_seconds",
        "Stream time: how far a model's own clock is.",
        {key: figures.stream_time_ms / 1000 for key, figures in watched.items() if figures.stream_time_ms is not None},
        WATCH,
    )
    yield from bounded(
        "detector_cells",
        "All traffic and its segments, each judged on its own.",
        {key: figures.cells for key, figures in watched.items()},
        MAX_CELLS,
        WATCH,
    )
    yield of_each(
        "detector_new_cells",
        "Segments that the log brought, with a cell each.",
        lambda figures: figures.new_cells.taken,
    )
    yield of_each(
        "detector_new_cells_limit",
        "The most that detector_new_cells can be.",
        lambda figures: figures.new_cells.limit,
    )
    yield of_each(
        "detector_admitted_cells_total", "Segments that were given a cell.", lambda figures: figures.new_cells.admitted
    )
    yield of_each(
        "detector_evicted_cells_total",
        "Segments whose cell was taken back, because nothing had come for long.",
        lambda figures: figures.new_cells.evicted,
    )
    yield of_each(
        "detector_refused_rows_total",
        "Predictions counted in a segment `__other__` because no cell was free for theirs.",
        lambda figures: figures.new_cells.refused,
    )
    yield from _seasons({key: figures.seasons for key, figures in watched.items()})
    yield Measure(
        "detector_armed_ratio",
        "Share of series that may page.",
        {
            (*key, scope): share
            for key, figures in watched.items()
            for scope, share in (("all_traffic", figures.armed_all_traffic), ("segments", figures.armed_segments))
        },
        (*WATCH, "scope"),
    )
    yield of_each(
        "detector_columns_not_armed",
        "Columns that do not page on all traffic; heartbeats say why.",
        lambda figures: figures.columns_not_armed,
    )
    yield of_each("detector_faulted_detectors", "Detectors that gave up.", lambda figures: figures.faulted)


def _seasons(found: Mapping[tuple[str, str], SeasonFigures]) -> Iterator[Measure]:
    yield from bounded(
        "detector_calibration_counts",
        "Counts that are gathered of the segments that calibrate.",
        {key: figures.gathered for key, figures in found.items()},
        MAX_COUNTS,
        WATCH,
    )
    yield Measure(
        "detector_calibration_refused_cells",
        "Segments that never calibrate, because there is no room to gather their counts.",
        {key: figures.without_room for key, figures in found.items()},
        WATCH,
    )
    yield Measure(
        "detector_profiles",
        "Columns of segments that go by the hour of the week or by the month, with a profile each.",
        {key: figures.profiles for key, figures in found.items()},
        WATCH,
    )
    yield Measure(
        "detector_profiles_limit",
        "The most that detector_profiles can be.",
        {key: figures.profiles_limit for key, figures in found.items()},
        WATCH,
    )


def _performance(watched: Watched) -> Iterator[Measure]:
    known = {key: figures.performance for key, figures in watched.items() if figures.performance is not None}
    yield Measure(
        "detector_performance",
        "Metrics of all traffic, of the newest cohort that is final or has labels of half of its predictions.",
        {
            (*key, name): metric.value
            for key, cohort in known.items()
            for name, metric in cohort.metrics.items()
            if metric.value is not None and not name.startswith((PREFIX, GAP))
        },
        (*WATCH, "metric"),
    )
    yield Measure(
        "detector_performance_coverage_ratio",
        "Share of that cohort's predictions that have labels.",
        {key: cohort.coverage for key, cohort in known.items()},
        WATCH,
    )
    yield Measure(
        "detector_label_delay_seconds",
        "Quantiles of the time from that cohort's predictions to their labels.",
        {
            (*key, quantile): delay
            for key, cohort in known.items()
            for quantile, delay in (("0.5", cohort.label_delay_p50), ("0.95", cohort.label_delay_p95))
            if delay is not None
        },
        (*WATCH, "quantile"),
    )


def _rings(watched: Watched) -> Iterator[Measure]:
    rings = {(*key, name): ring for key, figures in watched.items() for name, ring in figures.rings.items()}
    labels = (*WATCH, "memory")
    yield Measure(
        "detector_memory_entries",
        "Entries of a memory of the newest.",
        {key: ring.entries for key, ring in rings.items()},
        labels,
    )
    yield Measure(
        "detector_memory_entries_limit",
        "The most that detector_memory_entries can be.",
        {key: ring.limit for key, ring in rings.items()},
        labels,
    )
    yield Measure(
        "detector_memory_dropped_total",
        "Entries that gave way to newer ones.",
        {key: ring.dropped for key, ring in rings.items()},
        labels,
    )

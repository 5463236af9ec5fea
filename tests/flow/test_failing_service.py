"""A model's service that fails: its errors are counted, and none of them is a prediction of anything."""

from __future__ import annotations

from shared.events.block import BlockKind
from tests.kit.pipeline import Pipeline, monitored, traffic


def test_an_error_without_an_answer_is_served_and_its_label_is_no_error_of_the_model() -> None:
    pipeline = Pipeline(monitored(loan={}))
    pipeline.predict(request_id="a", prediction=1, latency_ms=20)
    pipeline.predict(request_id="b", prediction=None, error="timeout", latency_ms=5_000)
    pipeline.label(request_id="a", label=1)
    pipeline.label(request_id="b", label=1)
    pipeline.run()

    served = {row["latency_ms"]: row for row in pipeline.rows(BlockKind.SERVED)}
    assert {at: (row["prediction"], row["failed"]) for at, row in served.items()} == {
        20.0: ("1", 0),
        5_000.0: (None, 1),
    }
    assert sorted(str(row["prediction"]) for row in pipeline.rows(BlockKind.LABELLED)) == ["1", "None"]
    assert pipeline.dead_letters == []


def test_cohorts_count_a_failure_as_a_prediction_without_a_label() -> None:
    pipeline = Pipeline(monitored(loan={}))
    for number, (predicted, labelled) in enumerate(traffic(1_000)):
        failure = {"prediction": None, "scores": None, "error": "down"} if number % 10 == 0 else {}
        pipeline.predict(**(predicted | failure))
        pipeline.label(**labelled)
    pipeline.run()

    (cohort,) = (row for row in pipeline.cohorts if row.segment == "all")
    assert (cohort.n_predicted, cohort.n_labelled) == (1_000, 900)

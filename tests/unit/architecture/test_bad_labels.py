"""Every kind of label that is not as it should be has a test that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

UNIT = Path(__file__).parents[1]
TALLY, JOIN = "detector/test_tally.py", "joiner/test_fold.py"
NAMED = {
    "a cohort of one class": (TALLY, "test_a_metric_without_a_denominator_is_missing_and_says_why"),
    "scores of one class": ("detector/test_score_counts.py", "test_one_class_alone_has_no_area"),
    "no labels": (TALLY, "test_without_labels_there_is_no_metric"),
    "a cohort without labels": ("detector/test_degradation_rules.py", "test_a_cohort_without_labels_fires_nothing"),
    "all labels late": (
        "detector/test_degradation_watch.py",
        "test_without_labels_and_with_labels_too_late_to_be_joined_nothing_fires",
    ),
    "a text that is no class": (
        "detector/test_labelled_signals.py",
        "test_classes_that_the_reference_lacks_are_errors_only_where_texts_differ",
    ),
    "a label outside the classes": (TALLY, "test_a_label_outside_the_classes_is_in_no_metric"),
    "scores that do not sum to one": (TALLY, "test_scores_that_do_not_sum_to_one_are_taken_as_they_are"),
    "labels of 0 in mape": (TALLY, "test_labels_of_zero_are_left_out_of_relative_errors_and_counted"),
    "negative values in rmsle": (TALLY, "test_a_number_of_minus_one_or_less_leaves_no_logarithmic_error"),
    "corrections out of order": (JOIN, "test_labels_are_ordered_by_what_they_say_and_never_by_arrival"),
    "a label for another version": (JOIN, "test_a_second_version_of_an_id_is_served_and_meets_the_same_label"),
}


@pytest.mark.parametrize("kind", NAMED)
def test_each_kind_of_bad_label_has_a_test_that_names_it(kind: str) -> None:
    path, name = NAMED[kind]

    assert f"def {name}(" in (UNIT / path).read_text(encoding="utf-8")

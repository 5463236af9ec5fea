"""A baseline from a range of the log: built as from a file, or refused with what the log does hold."""

from __future__ import annotations

import msgspec
import pytest

from services.cli.acceptance import NEEDED_ROWS, undone
from services.cli.log_baseline import Built, Refused, build_from_log
from services.cli.publication import Publication, is_published, standing
from services.cli.stories import stories, story_lines
from services.detector.baseline import decode, schema
from services.detector.baseline_build import build_baseline
from services.detector.log_reference import Range
from services.detector.structs import encode_struct
from shared.definition import ServedRows, declared_schema
from shared.errors import ConfigurationError
from shared.log import TopicPartition
from shared.monitors import AlertsSpec, FeatureSpec, ModelSpec
from shared.values import format_ts
from tests.kit.accepting import AS_READ, Watched
from tests.kit.references import HOUR_MS, loans
from tests.kit.traffic import MODEL, START_MS, WARMING, rows

EVERYTHING = Range()


def at(row: int) -> int:
    return START_MS + row * HOUR_MS


def served(stop: int = 6_000) -> Watched:
    watched = Watched(rows(stop))
    watched.serve(0, stop)
    watched.label(0, stop)
    return watched


def built(watched: Watched, wanted: Range = EVERYTHING, spec: ModelSpec = AS_READ) -> Built:
    steps: list[tuple[str, float]] = []
    found = build_from_log(
        watched.on.reader(), watched.topics, MODEL, spec, wanted, lambda step, share: steps.append((step, share))
    )
    assert ("built", 1.0) in steps
    assert {share for step, share in steps if step == "reading the log"} >= {0.0}
    assert all(0 <= share <= 1 for _, share in steps)
    return found


def test_it_is_the_baseline_of_a_file_with_the_same_rows() -> None:
    found = built(served())

    expected = build_baseline(MODEL, AS_READ, rows(6_000))
    assert found.baseline.cells == expected.cells
    assert found.baseline.performance is not None
    assert expected.performance is not None
    assert encode_struct(found.baseline.performance) == encode_struct(expected.performance)
    assert [c.counts.tolist() for c in found.baseline.columns] == [c.counts.tolist() for c in expected.columns]
    assert found.left_out == 0


def test_the_definition_says_from_which_rows_it_is_and_what_it_follows() -> None:
    watched = served()
    first = watched.log.stamped.definition

    definition = built(watched, Range(at(1_000), at(5_000), "v1")).publication.definition

    assert definition.built_from == ServedRows(
        since=format_ts(at(1_000)), until=format_ts(at(4_999)), rows=4_000, model_version="v1"
    )
    assert (definition.follows, definition.accepts, definition.spec) == (first.hash, [], first.spec)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Range(since_ms=at(9_000)), rf"holds no rows of loans since {format_ts(at(9_000))}"),
        (Range(until_ms=at(0)), rf"holds no rows of loans until {format_ts(at(0))}"),
        (Range(model_version="v9"), "holds no rows of loans of version v9"),
    ],
    ids=["later", "earlier", "another version"],
)
def test_a_range_without_rows_is_refused_with_what_there_is(wanted: Range, said: str) -> None:
    there = rf"it holds {format_ts(at(0))} to {format_ts(at(5_999))}, of versions v1$"

    with pytest.raises(Refused, match=f"{said}; {there}"):
        built(served(), wanted)


def test_a_log_without_the_model_says_so() -> None:
    with pytest.raises(Refused, match="holds no rows of loans; it holds nothing of that model"):
        built(Watched(rows(1)))


def test_a_model_that_is_not_published_is_refused() -> None:
    watched = served(100)

    with pytest.raises(Refused, match="no definition of a model 'cars' is published; known: loans"):
        build_from_log(watched.on.reader(), watched.topics, "cars", AS_READ, EVERYTHING, lambda _step, _share: None)


def trimmed() -> Watched:
    """Return a model of whose rows the first 2,000 are no longer kept."""
    watched = served()
    watched.on.delete_records(TopicPartition(watched.topics.observations, 0), 1)
    return watched


def test_a_range_that_begins_before_what_is_kept_is_refused() -> None:
    with pytest.raises(
        Refused, match=rf"no longer holds what was before {format_ts(at(2_000))}: ask for rows since then"
    ):
        built(trimmed(), Range(since_ms=at(1_000)))


@pytest.mark.parametrize("since", [None, at(2_000), at(3_000)], ids=["all", "the first kept", "later"])
def test_a_range_that_is_kept_whole_is_built(since: int | None) -> None:
    found = built(trimmed(), Range(since_ms=since))

    assert found.baseline.start_ms == (since or at(2_000))


def test_a_range_that_begins_before_the_first_row_ever_is_no_loss() -> None:
    assert built(served(), Range(since_ms=at(-100))).baseline.rows == 6_000


def test_a_feature_that_the_rows_do_not_have_is_refused_by_its_path() -> None:
    spec = msgspec.structs.replace(AS_READ, features={"colour": FeatureSpec(kind="categorical")})

    with pytest.raises(ConfigurationError, match=r"models\.loans\.features\.colour: no column"):
        built(served(100), spec=spec)


# What stands when the reference is built again.


def of_reference(spec: ModelSpec = AS_READ, seed: int = 7) -> Publication:
    return Publication.of(MODEL, spec, build_baseline(MODEL, AS_READ, loans(seed=seed)))


def declared() -> Watched:
    """Return a model whose baseline is one from the log."""
    watched = Watched(rows(2_000), of_reference())
    watched.serve(0, 2_000)
    watched.publish(built(watched).publication)
    return watched


def test_what_was_declared_stands_while_the_reference_is_the_same() -> None:
    watched = declared()

    assert standing(watched.catalogue(), of_reference()).definition == watched.log.stamped.definition


def test_what_was_declared_stands_twice_over() -> None:
    watched = declared()
    watched.publish(built(watched, Range(since_ms=at(500))).publication)

    assert standing(watched.catalogue(), of_reference()).definition == watched.log.stamped.definition


def test_what_was_declared_goes_along_with_a_configuration_that_means_the_same_baseline() -> None:
    watched = declared()
    spec = msgspec.structs.replace(AS_READ, label_horizon="7d")

    found = standing(watched.catalogue(), of_reference(spec))

    assert found.definition == msgspec.structs.replace(watched.log.stamped.definition, spec=spec)
    assert found.baseline == watched.log.stamped.baseline


def test_a_reference_that_changed_takes_the_place_of_what_was_declared() -> None:
    changed = of_reference(seed=8)

    assert standing(declared().catalogue(), changed) == changed


def test_a_configuration_that_means_another_baseline_takes_the_place_of_what_was_declared() -> None:
    changed = of_reference(msgspec.structs.replace(AS_READ, alerts=AlertsSpec(false_pages_per_month=1.0)))

    assert standing(declared().catalogue(), changed) == changed


def test_the_list_names_every_definition_the_newest_first() -> None:
    watched = declared()

    newest, first = stories(watched.catalogue(), None)

    assert (newest.is_current, first.is_current) == (True, False)
    assert newest.version > first.version
    assert (newest.follows, first.follows) == (first.definition_hash, None)
    assert list(story_lines([newest, first])) == [
        f"* loans {newest.baseline_hash} published {newest.published}: 2,000 served rows from {format_ts(at(0))} to"
        f" {format_ts(at(1_999))}",
        f"  loans {first.baseline_hash} published {first.published}: 12,000 rows of reference.parquet from"
        " 1970-01-01T00:00:00.000Z to 1971-05-15T23:00:00.000Z",
    ]


# Models without a reference.


def learned(stop: int = NEEDED_ROWS) -> Watched:
    """Return a model that warmed up, and whose baseline is built from all that it served."""
    watched = Watched(rows(stop), Publication.warming_up(MODEL, WARMING))
    watched.serve(0, stop)
    watched.label(0, stop)
    watched.publish(built(watched, spec=WARMING).publication)
    return watched


def test_a_model_that_warms_up_gets_the_baseline_of_what_it_served() -> None:
    watched = learned()

    definition = watched.log.stamped.definition
    baseline = decode(watched.log.stamped.baseline)
    assert (baseline.rows, baseline.classes, baseline.arming.share(segments=False)) == (NEEDED_ROWS, ["0", "1"], 1.0)
    assert baseline.performance is not None
    assert definition.schema == declared_schema(WARMING) == schema(baseline)
    assert definition.built_from == ServedRows(
        since=format_ts(at(0)), until=format_ts(at(NEEDED_ROWS - 1)), rows=NEEDED_ROWS
    )


def test_a_declared_feature_that_never_came_is_there_and_not_armed() -> None:
    spec = msgspec.structs.replace(WARMING, features={**WARMING.features, "age": FeatureSpec(kind="numeric")})
    watched = Watched(rows(NEEDED_ROWS), Publication.warming_up(MODEL, spec))
    watched.serve(0, NEEDED_ROWS)

    baseline = built(watched, spec=spec).baseline

    places = {column.name: place for place, column in enumerate(baseline.columns)}
    assert not baseline.arming.is_armed(places["age"], 0)
    assert baseline.arming.is_armed(places["amount"], 0)


def test_what_was_learned_stands_when_the_services_start_again() -> None:
    watched = learned()
    first = Publication.warming_up(MODEL, WARMING)

    assert is_published(MODEL, WARMING, watched.catalogue())
    assert standing(watched.catalogue(), first) == watched.log.stamped


def test_other_columns_have_to_be_learned_anew() -> None:
    spec = msgspec.structs.replace(WARMING, features={"amount": FeatureSpec(kind="numeric")})
    changed = Publication.warming_up(MODEL, spec)

    assert standing(learned().catalogue(), changed) == changed


def test_what_was_learned_first_cannot_be_undone() -> None:
    with pytest.raises(Refused, match="is the first one that it learned: there is nothing to undo"):
        undone(learned().catalogue(), MODEL)


def test_before_there_is_a_baseline_nothing_can_be_undone() -> None:
    watched = Watched(rows(1), Publication.warming_up(MODEL, WARMING))

    with pytest.raises(Refused, match="loans warms up: it has no baseline yet"):
        undone(watched.catalogue(), MODEL)


def test_the_list_says_where_a_model_warmed_up() -> None:
    newest, first = stories(learned().catalogue(), MODEL)

    assert (first.reference, first.rows, first.baseline_hash) == (None, 0, "")
    assert list(story_lines([newest, first])) == [
        f"* loans {newest.baseline_hash} published {newest.published}: 10,000 served rows from {format_ts(at(0))} to"
        f" {format_ts(at(9_999))}",
        f"  loans no baseline published {first.published}: warming up",
    ]


def test_the_list_of_one_model_leaves_out_the_others() -> None:
    catalogue = declared().catalogue()

    assert len(stories(catalogue, MODEL)) == 2
    assert stories(catalogue, "cars") == []

"""Who a prediction is, and where it goes."""

from __future__ import annotations

from shared.identity import IdKey, content_hash, model_partition

KEY = IdKey(b"one")


def test_an_identity_is_sixteen_bytes_that_stay_the_same_for_ever() -> None:
    assert KEY.request("car_loan", "r-1").hex() == "5101a9c56b3034dca2180c5ed59f40fc"
    assert KEY.fingerprint == "81f2bcc0"


def test_model_and_request_do_not_run_into_each_other() -> None:
    assert KEY.request("ab", "c") != KEY.request("a", "bc")


def test_another_key_gives_other_identities() -> None:
    other = IdKey(b"two")

    assert other.request("car_loan", "r-1") != KEY.request("car_loan", "r-1")
    assert other.fingerprint != KEY.fingerprint


def test_a_slow_model_keeps_to_one_partition() -> None:
    places = {KEY.half_partition("slow", KEY.request("slow", str(i)), spread=1, partitions=8) for i in range(200)}

    assert len(places) == 1


def test_a_spread_model_uses_as_many_partitions_as_it_is_spread_over() -> None:
    places = {KEY.half_partition("fast", KEY.request("fast", str(i)), spread=3, partitions=8) for i in range(200)}

    assert len(places) == 3


def test_partitions_lie_within_their_topic() -> None:
    models = [f"model-{i}" for i in range(100)]

    assert {KEY.model_partition(model, 4) for model in models} == {0, 1, 2, 3}
    assert {model_partition(model, 4) for model in models} == {0, 1, 2, 3}


def test_what_outsiders_compute_stays_the_same_for_ever() -> None:
    assert [model_partition(model, 12) for model in ("car_loan", "bikes", "sea_abrupt")] == [11, 0, 5]
    assert content_hash(b"content") == "c681ff421fbd7af6dc373a7ced20fbeb"

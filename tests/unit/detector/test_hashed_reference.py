from __future__ import annotations

import pyarrow as pa
import pytest

from services.detector.hashed_reference import with_hashes
from services.detector.reference_table import ReferenceTable
from shared.errors import ConfigurationError
from shared.identity import IdKey
from shared.monitors import FeatureSpec, ModelSpec

KEY = IdKey(b"test")
HASHED = FeatureSpec(hash=True)


def spec(**features: FeatureSpec) -> ModelSpec:
    return ModelSpec(task="regression", reference="r.csv", segments=["region"], features=features)


def test_values_become_hashes_of_their_text_and_nothing_stays_missing_or_appears() -> None:
    table = pa.table(
        {
            "email": ["a@b.c", None, "a@b.c"],
            "features.zip": [1.0, 2.0, float("nan")],
            "seg_region": ["north", "south", "north"],
            "x": [1, 2, 3],
        }
    )

    found = with_hashes("m", spec(email=HASHED, zip=HASHED, region=HASHED), table, KEY).to_pydict()

    email, zips, region = (KEY.levels("m", name) for name in ("email", "zip", "region"))
    assert found == {
        "email": [email("a@b.c"), None, email("a@b.c")],
        "features.zip": [zips("1"), zips("2"), None],
        "seg_region": [region("north"), region("south"), region("north")],
        "x": [1, 2, 3],
    }


def test_a_hash_tells_nothing_without_the_key_and_not_what_another_column_holds() -> None:
    named = [key.levels(model, name)("north") for key, model, name in (
        (KEY, "m", "region"), (IdKey(b"another"), "m", "region"), (KEY, "n", "region"), (KEY, "m", "city")
    )]  # fmt: skip

    assert len(set(named)) == 4
    assert {len(text) for text in named} == {16}


def test_a_number_that_is_hashed_is_a_category() -> None:
    table = pa.table({"zip": [1, 2], "region": ["a", "b"], "prediction": [0.5, 0.5]})
    hashing = spec(zip=HASHED)

    kinds = {
        column.name: column.kind
        for column in ReferenceTable("m", hashing, with_hashes("m", hashing, table, KEY)).columns()
    }

    assert kinds == {"zip": "categorical", "region": "categorical", "prediction": "numeric"}


@pytest.mark.parametrize(
    ("features", "why"),
    [
        ({"regoin": HASHED}, "models.m.features.regoin: no column of the reference has this name"),
        ({"region": FeatureSpec(gate=0.2)}, "models.m.features.region: no column of the reference has this name"),
    ],
)
def test_only_a_hash_can_be_asked_for_a_segment_that_is_no_feature(features: dict[str, FeatureSpec], why: str) -> None:
    table = pa.table({"x": [1], "seg_region": ["north"], "prediction": [0.5]})

    assert ReferenceTable("m", spec(region=HASHED), table).columns()[0].name == "x"
    with pytest.raises(ConfigurationError) as refused:
        ReferenceTable("m", spec(**features), table).columns()

    assert str(refused.value) == why

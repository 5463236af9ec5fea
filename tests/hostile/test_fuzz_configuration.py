"""Whatever stands in `driftline.yaml` or the environment is a configuration, or refused with its path."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ConfigurationError
from shared.monitors import Monitors, parse_monitors
from shared.settings import Settings, read_settings
from tests.kit.repository import ROOT

MINIMAL = (ROOT / "tests" / "monitors" / "minimal.yaml").read_bytes()
TREE: dict[str, Any] = yaml.safe_load(MINIMAL)
FRAGMENTS = st.sampled_from(
    [
        b"&a",
        b"*a",
        b"!!set",
        b"? ",
        b": ",
        b"- ",
        b"\t",
        b"|\n",
        b"<<",
        b"%YAML",
        b"...",
        b"---",
        b"\0",
        b"1e999",
        b".nan",
        b"0x1",
        b"#",
    ]
)
TEXTS = st.text(max_size=12)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))


def reads(content: bytes) -> None:
    """Read a configuration, and fail where a refusal says nothing."""
    found: Monitors | tuple[str, str]
    try:
        found = parse_monitors(content)
    except ConfigurationError as refused:
        found = refused.path, refused.message
    assert isinstance(found, Monitors) or all(found)


@given(content=st.binary(max_size=80) | TEXTS.map(str.encode))
def test_any_bytes(content: bytes) -> None:
    reads(content)


@given(place=st.integers(0, len(MINIMAL)), length=st.integers(0, 20), piece=st.binary(max_size=8) | FRAGMENTS)
def test_a_file_with_a_piece_that_is_another(place: int, length: int, piece: bytes) -> None:
    reads(MINIMAL[:place] + piece + MINIMAL[place + length :])


@given(draw=st.data())
def test_a_value_that_is_anything(draw: st.DataObject) -> None:
    tree: Any = yaml.safe_load(MINIMAL)
    node: Any = tree
    for _ in range(draw.draw(st.integers(0, 3))):
        inner = [
            value for value in (node.values() if isinstance(node, dict) else node) if isinstance(value, (dict, list))
        ]
        if not inner:
            break
        node = draw.draw(st.sampled_from(inner))
    if isinstance(node, dict):
        node[draw.draw(st.sampled_from([*sorted(node), "extra"]))] = draw.draw(TREES)
    else:
        node.append(draw.draw(TREES))

    reads(yaml.safe_dump(tree).encode())


@given(
    environ=st.dictionaries(
        st.sampled_from([f"DRIFTLINE_{name.upper()}" for name in Settings.__struct_fields__]) | TEXTS, TEXTS, max_size=4
    )
)
def test_any_environment(environ: dict[str, str]) -> None:
    with suppress(ConfigurationError):
        read_settings(environ)

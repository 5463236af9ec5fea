"""All rows of the table, from the modules that meet them."""

from tests.hostile import events, floods, on_kafka, operators, own_bytes
from tests.hostile.table import ROWS

__all__ = ["ROWS", "events", "floods", "on_kafka", "operators", "own_bytes"]

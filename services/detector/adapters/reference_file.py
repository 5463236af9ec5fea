"""A reference from disk: Parquet or CSV."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from shared.errors import ConfigurationError

MAX_BYTES = 4 << 30


def read_reference(path: Path, model: str) -> pa.Table:
    """Return the table in `path`, `.parquet` or `.csv`.

    In CSV an empty field, NA, NaN, N/A, null and their like are missing.

    Raises:
        ConfigurationError: the file is not there, too large, of another kind or damaged; names
            `models.<model>.reference`.
    """
    where = f"models.{model}.reference"
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ConfigurationError(where, f"{path.name} takes {size} bytes; at most {MAX_BYTES}")
        if path.suffix == ".parquet":
            return pyarrow.parquet.read_table(path)
        if path.suffix == ".csv":
            options = pyarrow.csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)
            return pyarrow.csv.read_csv(path, convert_options=options)
    except OSError as exc:
        raise ConfigurationError(where, f"{path} cannot be read: {exc.strerror or exc}") from exc
    except pa.ArrowException as exc:
        raise ConfigurationError(where, f"{path.name} is damaged: {str(exc).splitlines()[0]}") from exc
    raise ConfigurationError(where, f"{path.name} is neither .parquet nor .csv")

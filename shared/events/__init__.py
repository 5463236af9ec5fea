"""One file per kind of record, in order of flow."""

"""`python -m shared.events` writes the JSON Schemas of the public events."""

from shared.events.schemas import FOLDER, event_schemas

FOLDER.mkdir(exist_ok=True)
for name, content in event_schemas().items():
    (FOLDER / name).write_bytes(content)

"""What both ingest services share: raw records in, blocks of `driftline.halves` and dead letters out.

In order of flow: `payload` (is it JSON of a bearable size), `codec` (what a kind of event must bring), `intake` (one
record to one row), `gathering` (rows to blocks), `offsets` (what may be committed), `stage` (the loop), `ordered` (the
same for files that are merged by time).
"""

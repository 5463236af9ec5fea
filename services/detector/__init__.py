"""The detector: a fold of `driftline.observations` into alerts.

observation → signals → banks → windows → detections → incidents. Each object below the stage is a state that one log
prefix determines; its bytes are the checkpoint.
"""

"""prediction_consumer: prediction events to blocks of `driftline.halves`."""

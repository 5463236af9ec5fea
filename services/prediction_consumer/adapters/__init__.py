"""Where prediction_consumer touches the world."""

"""Where the retrain trigger meets Faust, Kafka and HTTP."""

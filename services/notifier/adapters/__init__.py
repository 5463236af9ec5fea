"""Where the notifier meets Faust and Kafka."""

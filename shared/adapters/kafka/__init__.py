"""The log on Apache Kafka, through librdkafka. One consumer and one producer a process."""

from shared.adapters.kafka.admin import KafkaAdmin
from shared.adapters.kafka.exclusive_writer import KafkaExclusiveWriter
from shared.adapters.kafka.group import KafkaGroupReader
from shared.adapters.kafka.reader import KafkaReader
from shared.adapters.kafka.writer import KafkaWriter

__all__ = ["KafkaAdmin", "KafkaExclusiveWriter", "KafkaGroupReader", "KafkaReader", "KafkaWriter"]

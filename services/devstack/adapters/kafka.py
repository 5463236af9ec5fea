"""The embedded broker."""

from __future__ import annotations

import uuid
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from services.devstack import kafka_config
from services.devstack.adapters.child import Child, accepts_connections
from services.devstack.adapters.ports import free_port
from services.devstack.adapters.server import START_SECONDS, Server
from services.devstack.security import ADMIN, Files, administrator, broker_properties, scram_options
from shared.adapters.kafka.client import Outage, client_settings


class EmbeddedKafka(Server):
    """One broker that is its own controller. Without `cluster_id` it gets one of its own when it is first started."""

    def __init__(
        self, java: Path, class_path: str, folder: Path, cluster_id: str = "", files: Files | None = None
    ) -> None:
        super().__init__(folder)
        self._files = files  # of a secured one
        self._java = java
        self._class_path = class_path
        self._logs = folder / "logs"
        self._cluster_id = cluster_id

    def _launch(self, port: int) -> Child:
        properties, log4j, log = (self._folder / name for name in ("server.properties", "log4j2.xml", "broker.log"))
        properties.touch(mode=0o600)  # a secured one holds a password
        properties.write_text(self._properties(port), encoding="utf-8")
        log4j.write_text(kafka_config.log4j_xml(log), encoding="utf-8")
        self._format(properties)
        command = kafka_config.broker_command(self._java, self._class_path, log4j=log4j, properties=properties)
        return Child("Apache Kafka", command, self._folder / "console.log", [log])

    def _properties(self, port: int) -> str:
        """Return what the broker is told."""
        security = None
        if self._files is not None:
            security = broker_properties(self._files, self._files.password(ADMIN).read_text(encoding="utf-8"))
        return kafka_config.server_properties(
            broker_port=port, controller_port=free_port(0, 0, taken=(port,)), logs=self._logs, security=security
        )

    def _format(self, properties: Path) -> None:
        meta = self._logs / "meta.properties"
        if not meta.exists():
            new_id = self._cluster_id or kafka_config.cluster_id(uuid.uuid4().bytes)
            command = kafka_config.format_command(
                self._java, self._class_path, cluster_id=new_id, properties=properties
            )
            if self._files is not None:
                command += scram_options(ADMIN, self._files.password(ADMIN).read_text(encoding="utf-8"))
            Child("Kafka's StorageTool", command, self._folder / "format.log").await_success(START_SECONDS)
        self._cluster_id = kafka_config.stored_cluster_id(meta.read_text(encoding="utf-8"))

    def _answers(self, port: int, pid: int) -> bool:  # noqa: ARG002 - a broker is known by its cluster id
        if not accepts_connections(port):
            return False
        access = administrator(f"127.0.0.1:{port}", "", self._files).kafka
        client = AdminClient({**client_settings(access, "devstack", Outage()), "log_level": 0})
        try:
            cluster = client.list_topics(timeout=2.0)
        except KafkaException:
            return False
        return cluster.cluster_id == self._cluster_id and bool(cluster.brokers)

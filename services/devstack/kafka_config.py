"""What the broker is told: one node that is broker and controller, meant for one machine."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path

OLDEST_JAVA = 17  # of Kafka 4
HEAP = "-Xmx512m"


def server_properties(
    *, broker_port: int, controller_port: int, logs: Path, security: Mapping[str, str] | None = None
) -> str:
    """Return `server.properties`. `logs` is the folder of the topics' data; `security` what makes it a secured one."""
    protocol = "PLAINTEXT" if security is None else "SASL_SSL"
    properties = {
        "process.roles": "broker,controller",
        "node.id": "1",
        # A static quorum is not written into the data, so kept data may come back under another port.
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"{protocol}://127.0.0.1:{broker_port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"{protocol}://127.0.0.1:{broker_port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        **{name: _escaped(value) for name, value in (security or {}).items()},
        "log.dirs": _escaped(str(logs)),
        # A broker that was killed is refused until the session of its former life has ended (9 s by default).
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "log.cleaner.dedupe.buffer.size": str(32 << 20),  # a quarter of the default, out of a small heap
    }
    return "".join(f"{name}={value}\n" for name, value in properties.items())


def log4j_xml(log: Path) -> str:
    """Return the logging configuration: `log` holds this start only, at most 10 MB, with three older files."""
    pattern = "%d{ISO8601} %p %m (%c)%n"
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="WARN">
  <Appenders>
    <RollingFile name="file" fileName="{_attribute(str(log))}" filePattern="{_attribute(str(log))}.%i">
      <PatternLayout pattern="{pattern}"/>
      <Policies>
        <OnStartupTriggeringPolicy/>
        <SizeBasedTriggeringPolicy size="10 MB"/>
      </Policies>
      <DefaultRolloverStrategy max="3"/>
    </RollingFile>
  </Appenders>
  <Loggers>
    <Root level="INFO"><AppenderRef ref="file"/></Root>
  </Loggers>
</Configuration>
"""


def format_command(java: Path, class_path: str, *, cluster_id: str, properties: Path) -> list[str]:
    """Return the command that prepares an empty data folder."""
    # The tool lives for a second: the optimising compiler would only cost it time.
    fast_start = ["-Xmx256m", "-XX:TieredStopAtLevel=1"]
    tool = ["kafka.tools.StorageTool", "format", "--cluster-id", cluster_id, "--config", str(properties)]
    return [str(java), *fast_start, "-cp", class_path, *tool]


def broker_command(java: Path, class_path: str, *, log4j: Path, properties: Path) -> list[str]:
    """Return the command that is the broker."""
    return [str(java), HEAP, f"-Dlog4j2.configurationFile={log4j}", "-cp", class_path, "kafka.Kafka", str(properties)]


def cluster_id(sixteen_bytes: bytes) -> str:
    """Return 16 bytes in Kafka's notation: base64url without padding; never with a leading `-`, an option's sign."""
    text = base64.urlsafe_b64encode(sixteen_bytes).decode().rstrip("=")
    return f"A{text[1:]}" if text.startswith("-") else text


def stored_cluster_id(meta_properties: str) -> str:
    """Return the cluster id of a formatted data folder's `meta.properties`; empty when it has none."""
    found = re.search(r"^cluster\.id=(\S+)$", meta_properties, re.MULTILINE)
    return found.group(1) if found else ""


def java_version(banner: str) -> int:
    """Return the feature release in what `java -version` prints (`1.8` is 8); 0 when there is none."""
    found = re.search(r'version "(?:1\.)?(\d+)', banner)
    return int(found.group(1)) if found else 0


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\")


def _attribute(value: str) -> str:
    return value.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")

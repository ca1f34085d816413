"""Settings of a Kafka with a single node: broker and controller in one process, loopback only."""

import base64
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from finkray.host.ports import LOOPBACK

_ID_BEGINS: Final = "finkray-sim-"
"""Nine bytes in base64: an archive's ledger tells from it that alerts are simulated ones."""


def new_cluster_id() -> str:
    """Return a random cluster id in Kafka's form: 16 bytes in URL-safe base64, 22 characters."""
    drawn = base64.urlsafe_b64decode(_ID_BEGINS) + secrets.token_bytes(7)
    return base64.urlsafe_b64encode(drawn).decode().rstrip("=")


def is_simulated(cluster_id: str) -> bool:
    """Return whether a Kafka of the simulator has this cluster id."""
    return cluster_id.startswith(_ID_BEGINS)


def server_properties(
    *, data: Path, port: int, controller_port: int, extra: Mapping[str, str]
) -> dict[str, str]:
    """Return the broker's settings; `extra` overrides them."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data),
        # A single node holds one replica of Kafka's own topics. Few partitions are created
        # faster than the usual fifty.
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        # A broker that was killed can register again only when its old session has ended:
        # the usual 9 s are meant for a network.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        # Topics are created on purpose, not because a client requests their metadata.
        "auto.create.topics.enable": "false",
        # LSST packets reach 600 kB; surveys' brokers accept 10 MB.
        "message.max.bytes": "10000000",
        "replica.fetch.max.bytes": "10000000",
        # A night of 2018 that is played with its own times must not expire at once, and one from
        # the future must not be refused.
        "log.retention.ms": "-1",
        "log.message.timestamp.after.max.ms": str(2**63 - 1),
        **extra,
    }


def to_properties(settings: Mapping[str, str]) -> str:
    """Return the text of a Java properties file."""
    lines = (f"{key}={_escaped(value)}" for key, value in settings.items())
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("\n", "\\n")
    return "\\" + escaped if escaped.startswith(" ") else escaped

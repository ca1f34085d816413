"""A real single-node Apache Kafka for the simulator, the demo and the tests.

    with Kafka.running() as kafka:
        kafka.create_topic("ztf_20260101_programid1", partitions=4)
        ...                                     # kafka.bootstrap_servers

Needs neither Docker nor an installed Kafka: the jars come through `sim.broker.jars`.
"""

import json
import logging
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata
from pydantic import TypeAdapter

from finkray.errors import KafkaUnavailable
from finkray.host.java import find_java
from finkray.host.lock import exclusive
from finkray.host.ports import LOOPBACK, free_ports
from finkray.host.process import ProcessRecord, ended_on_error, start_detached
from finkray.host.records import read_record, write_private
from finkray.kafka import topics
from sim.broker import class_data
from sim.broker.config import new_cluster_id, server_properties, to_properties
from sim.broker.jars import kafka_jars
from sim.broker.login import Login

_LOG = logging.getLogger(__name__)
_LOG4J = Path(__file__).with_name("log4j2.properties")
_LOG_TAIL_LINES = 30


@dataclass(frozen=True, slots=True)
class _Node:
    """The values of a folder that stay the same from one start to the next."""

    cluster_id: str
    port: int
    controller_port: int
    login_port: int = 0


class Kafka:
    """A broker that runs, or ran, in a folder. Created by `start`, `find` or `running`.

    The folder holds `data/`, `server.properties`, `kafka.log`, and two small records: of the node,
    so that a restart has the same port and cluster id, and of the process, so that it is found
    again. One folder has one broker at a time.
    """

    def __init__(
        self,
        folder: Path,
        *,
        heap_mb: int,
        properties: Mapping[str, str],
        login: Login | None = None,
        die_with_parent: bool,
    ) -> None:
        self.folder = folder.absolute()
        self._heap_mb = heap_mb
        self._extra = dict(properties)
        self._login = login
        self._die_with_parent = die_with_parent
        self._child: subprocess.Popen[bytes] | None = None
        self._class_file: Path | None = None
        """The CDS file that the running child writes when it is shut down."""

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        port: int | None = None,
        heap_mb: int = 768,
        properties: Mapping[str, str] | None = None,
        login: Login | None = None,
        die_with_parent: bool = False,
        timeout_s: float = 60,
    ) -> "Kafka":
        """Start the broker of `folder`, or use the one that already runs there.

        Return once it answers. The broker is in a process session of its own: Ctrl-C does not
        reach it.

        Parameters
        ----------
        folder
            Its folder; created if missing. Data in it are kept from one start to the next.
        port
            Port on the loopback address; default: the folder's last one, or a free one.
        heap_mb
            Maximum heap of its JVM.
        properties
            More settings of the broker, over the ones of `sim.broker.config`.
        login
            A second listener, for clients that log in.
        die_with_parent
            Kill the broker when this process ends for any reason.
        timeout_s
            How long the broker may take until it answers.

        Raises
        ------
        KafkaUnavailable
            The jars could not be fetched, or the broker ended or did not answer in time; the
            message has the end of its log.
        """
        kafka = cls(
            folder,
            heap_mb=heap_mb,
            properties=properties or {},
            login=login,
            die_with_parent=die_with_parent,
        )
        kafka._start(port, timeout_s)
        return kafka

    @classmethod
    def find(cls, folder: Path) -> "Kafka | None":
        """Return the broker that runs in `folder`, to inspect or stop it; None if none runs."""
        kafka = cls(folder, heap_mb=768, properties={}, die_with_parent=False)
        return kafka if kafka.pid is not None else None

    @classmethod
    @contextmanager
    def running(
        cls,
        folder: Path | None = None,
        *,
        port: int | None = None,
        heap_mb: int = 768,
        properties: Mapping[str, str] | None = None,
        login: Login | None = None,
    ) -> Iterator["Kafka"]:
        """Run a broker during a `with` block, by default in a temporary folder.

        It is stopped at the end, and killed if this process dies earlier.
        """
        with tempfile.TemporaryDirectory(prefix="finkray-kafka-") as scratch:
            kafka = cls.start(
                folder or Path(scratch),
                port=port,
                heap_mb=heap_mb,
                properties=properties,
                login=login,
                die_with_parent=True,
            )
            try:
                yield kafka
            finally:
                kafka.stop()

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect: `host:port`."""
        return f"{LOOPBACK}:{self._node().port}"

    @property
    def login_servers(self) -> str:
        """Where clients that log in connect, if the broker was started with a `login`."""
        return f"{LOOPBACK}:{self._node().login_port}"

    @property
    def cluster_id(self) -> str:
        """The cluster's own id, the same after a restart."""
        return self._node().cluster_id

    @property
    def log_path(self) -> Path:
        """The broker's log."""
        return self.folder / "kafka.log"

    @property
    def pid(self) -> int | None:
        """Its process id, or None if it does not run."""
        # If the broker is our child and has ended, `poll` also lets the kernel release its process.
        if self._child is not None and self._child.poll() is None:
            return self._child.pid
        record = self._process()
        return record.pid if record and record.process() else None

    def stop(self, grace_s: float = 30) -> None:
        """Shut the broker down; kill it if that takes longer than `grace_s`.

        Does nothing if it does not run. The data stay.
        """
        if self._child is not None:
            _end_child(self._child, grace_s)
            if self._class_file is not None and self._child.returncode != -signal.SIGKILL:
                class_data.keep_written(self._class_file, self.folder)
            self._child, self._class_file = None, None
        if record := self._process():
            record.end(grace_s)
        self._process_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        self.stop(grace_s=0)

    def restart(self, timeout_s: float = 60) -> None:
        """Stop the broker if it runs, and start it on the same data and port."""
        self.stop()
        self._start(None, timeout_s)

    def create_topic(self, name: str, partitions: int = 1, **config: str) -> None:
        """Create a topic and wait until Kafka has it.

        Parameters
        ----------
        name
            Its name.
        partitions
            Number of its partitions.
        config
            Its settings, with underscores for dots: `retention_ms="1000"`.

        Raises
        ------
        FinkrayError
            The topic exists already.
        KafkaUnavailable
            Kafka refused.
        """
        settings = {key.replace("_", "."): value for key, value in config.items()}
        topics.create_topic(self._client, name, partitions, settings)

    def delete_topic(self, name: str) -> None:
        """Delete a topic.

        Raises
        ------
        KafkaUnavailable
            Kafka refused, or there is no such topic.
        """
        topics.delete_topic(self._client, name)

    @property
    def _process_file(self) -> Path:
        return self.folder / "process.json"

    @property
    def _node_file(self) -> Path:
        return self.folder / "node.json"

    def _process(self) -> ProcessRecord | None:
        def parse(data: bytes) -> ProcessRecord:
            return ProcessRecord.from_json(json.loads(data))

        return read_record(self._process_file, parse, f"end {self.folder}'s Kafka, and delete it")

    def _node(self) -> _Node:
        parse = TypeAdapter(_Node).validate_json
        node = read_record(self._node_file, parse, f"delete {self.folder}, its Kafka begins anew")
        if node is None:
            raise KafkaUnavailable(f"no Kafka was started in {self.folder}: start it again")
        return node

    @property
    def _client(self) -> dict[str, object]:
        # No log lines of the client: they would report a broker that is still starting.
        return {"bootstrap.servers": self.bootstrap_servers, "log_level": 0}

    def _start(self, port: int | None, timeout_s: float) -> None:
        with exclusive(self.folder / "kafka.lock"):
            if self.pid is None:
                self._launch(port)
            self._wait_until_it_answers(timeout_s)

    def _launch(self, port: int | None) -> None:
        java = find_java()
        jars = kafka_jars(java)
        class_file = class_data.class_data_file(java, jars)
        node = self._settle_node(port)
        properties = self.folder / "server.properties"
        data = self.folder / "data"
        settings = server_properties(
            data=data,
            port=node.port,
            controller_port=node.controller_port,
            extra={**self._login_properties(node), **self._extra},
        )
        properties.write_text(to_properties(settings))
        jvm = [str(java.executable), "-cp", f"{jars}/*", f"-Dlog4j2.configurationFile={_LOG4J}"]
        jvm += class_data.reading_options(class_file)
        if not (data / "meta.properties").exists():
            # In one argument: an id may begin with a dash.
            arguments = ["format", f"--cluster-id={node.cluster_id}", "-c", str(properties)]
            arguments += self._login.format_arguments() if self._login else []
            formatted = subprocess.run(
                [*jvm, "kafka.tools.StorageTool", *arguments],
                capture_output=True,
                text=True,
                check=False,
            )
            if formatted.returncode != 0:
                output = (formatted.stdout + formatted.stderr).strip()
                raise KafkaUnavailable(f"Kafka could not prepare {data}: {output}")
        # Only the parent of a broker's process learns that the broker wrote all of its classes.
        if self._die_with_parent and not class_file.exists() and class_data.can_write(java):
            self._class_file = class_file
            jvm += class_data.writing_options(self.folder)
        self._child = start_detached(
            [*jvm, f"-Xmx{self._heap_mb}m", "kafka.Kafka", str(properties)],
            log=self.log_path,
            environment=java.environment(),
            die_with_parent=self._die_with_parent,
        )
        with ended_on_error(self._child):
            record = ProcessRecord.of(self._child.pid, mark=str(properties))
            write_private(self._process_file, json.dumps(record.to_json()))
        _LOG.info("Kafka is starting on %s; its log is %s", self.bootstrap_servers, self.log_path)

    def _settle_node(self, port: int | None) -> _Node:
        free_port, controller_port, login_port = free_ports(3)
        if self._node_file.exists():
            node = self._node()
            node = replace(node, port=port or node.port, login_port=node.login_port or login_port)
        else:
            node = _Node(new_cluster_id(), port or free_port, controller_port, login_port)
        write_private(self._node_file, json.dumps(asdict(node)))
        return node

    def _login_properties(self, node: _Node) -> dict[str, str]:
        if self._login is None:
            return {}
        return self._login.properties(
            plain_port=node.port, login_port=node.login_port, controller_port=node.controller_port
        )

    def _wait_until_it_answers(self, timeout_s: float) -> None:
        admin = AdminClient(self._client)
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            if self.pid is None:
                self.stop()  # remove the record of the process that ended
                raise KafkaUnavailable(f"Kafka ended while it started. {self._log_tail()}")
            try:
                if _serves(admin.list_topics(timeout=1), self.cluster_id):
                    return
            except KafkaException:
                _LOG.debug("Kafka on %s does not answer yet", self.bootstrap_servers)
            time.sleep(0.1)
        pid = self.pid
        if self._child is not None:
            self.stop()
        raise KafkaUnavailable(
            f"Kafka (process {pid}) did not answer on {self.bootstrap_servers} within "
            f"{timeout_s:.0f} s. {self._log_tail()}"
        )

    def _log_tail(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return f"The end of {self.log_path}:\n" + "\n".join(lines)


def _end_child(child: subprocess.Popen[bytes], grace_s: float) -> None:
    if grace_s > 0:
        child.terminate()
        try:
            child.wait(grace_s)
        except subprocess.TimeoutExpired:
            _LOG.warning("Kafka (process %d) did not shut down in time; killing it", child.pid)
    child.kill()
    child.wait()
    if child.stdin:
        child.stdin.close()


def _serves(metadata: ClusterMetadata, cluster_id: str) -> bool:
    """Whether it is this broker (another one may have the port) and all partitions have leaders."""
    partitions = (
        partition for topic in metadata.topics.values() for partition in topic.partitions.values()
    )
    return (
        metadata.cluster_id == cluster_id
        and bool(metadata.brokers)
        and all(partition.leader >= 0 for partition in partitions)
    )

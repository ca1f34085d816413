"""A second listener of the simulated Kafka, as sites have it: SASL SCRAM over TLS.

    login = Login(certificate=folder / "broker.pem", users={"finkray": "secret"})
    with Kafka.running(login=login) as kafka:
        ...                                     # kafka.login_servers

The first listener, without TLS and without a login, stays open for the simulator itself. Its
clients are `User:ANONYMOUS` and may do everything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from finkray.host.ports import LOOPBACK

MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")

_LISTENER = "listener.name.sasl_ssl"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


@dataclass(frozen=True, slots=True)
class Login:
    """Certificate and users of the second listener.

    Attributes
    ----------
    certificate
        PEM file with the broker's private key (PKCS #8, not encrypted) and after it the chain
        of its certificates, for the address 127.0.0.1
    users
        passwords by name; they are written into the cluster when its folder is new
    """

    certificate: Path
    users: Mapping[str, str] = field(repr=False)

    def properties(
        self, *, plain_port: int, login_port: int, controller_port: int
    ) -> dict[str, str]:
        """Return the broker's settings for both listeners."""
        listeners = f"PLAINTEXT://{LOOPBACK}:{plain_port},SASL_SSL://{LOOPBACK}:{login_port}"
        return {
            "listeners": f"{listeners},CONTROLLER://{LOOPBACK}:{controller_port}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,"
            "CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "sasl.enabled.mechanisms": ",".join(MECHANISMS),
            **{f"{_LISTENER}.{name.lower()}.sasl.jaas.config": _SCRAM for name in MECHANISMS},
            f"{_LISTENER}.ssl.keystore.type": "PEM",
            f"{_LISTENER}.ssl.keystore.location": str(self.certificate.absolute()),
        }

    def format_arguments(self) -> list[str]:
        """Return the arguments of `kafka.tools.StorageTool format` that create the users."""
        return [
            argument
            for name, password in self.users.items()
            for mechanism in MECHANISMS
            for argument in ("--add-scram", f"{mechanism}=[name={name},password={password}]")
        ]

"""Find free TCP ports on the loopback interface, and see whether one is in use."""

import random
import socket

LOOPBACK = "127.0.0.1"

_PORTS = range(20_000, 32_000)
"""Below the ephemeral ports, which systems assign by themselves. In that range another program
could take the port while its server is down, and a client that retries can even connect to
itself."""


def free_ports(count: int) -> list[int]:
    """Return ports on which nothing listens now, in random order."""
    ports: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if len(ports) == count:
            break
        if is_free(port):
            ports.append(port)
    return ports


def is_free(port: int) -> bool:
    """Return whether nothing listens on this port."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) != 0


def listens(host: str, port: int) -> bool:
    """Return whether a connection to this address is accepted."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True

"""Ports are offered only while nothing listens on them."""

import socket

from finkray.host.ports import LOOPBACK, free_ports, is_free


def test_free_ports_are_distinct_and_nothing_listens_on_them() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(is_free(port) for port in ports)


def test_a_port_with_a_listener_is_not_free() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)

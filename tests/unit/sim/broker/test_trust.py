"""A mirror behind a site's own authority: reached by the Java that fetches Kafka's jars."""

import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from finkray.errors import KafkaUnavailable
from finkray.host.java import find_java
from sim.broker.jars import kafka_jars
from sim.broker.trust import java_trust_options

_NO_REPOSITORY = """<ivysettings><settings defaultResolver="none"/><resolvers>
<filesystem name="none"><artifact pattern="/nothing/[artifact].[ext]"/></filesystem>
</resolvers></ivysettings>"""


@contextmanager
def _served_over_tls(text: str, authority: trustme.CA) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"https://localhost:{server.server_port}/settings.xml"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("trusted", "outcome"),
    [(True, "not found"), (False, "PKIX path building failed")],
    ids=["the site's authority is trusted", "it is not"],
)
def test_a_mirror_behind_a_sites_own_authority(
    trusted: bool, outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The mirror holds no jars: to be told so is to have been let in.
    ours, other = trustme.CA(), trustme.CA()
    list_of_authorities = tmp_path / "authorities.pem"
    (ours if trusted else other).cert_pem.write_to_path(str(list_of_authorities))
    monkeypatch.setenv("SSL_CERT_FILE", str(list_of_authorities))
    with _served_over_tls(_NO_REPOSITORY, ours) as url:
        monkeypatch.setenv("FINKRAY_IVY_SETTINGS", url)
        with pytest.raises(KafkaUnavailable, match=outcome):
            kafka_jars(find_java(), tmp_path / "cache")


def test_no_authority_known_leaves_javas_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert java_trust_options(tmp_path / "store.p12") == []

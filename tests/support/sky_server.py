"""A server on this machine that cross-matches as the CDS does, or behaves badly.

It takes a form with a file of positions and answers in CSV with the separation in `angDist`
(http://cdsxmatch.u-strasbg.fr/xmatch/doc/API-calls.html).
"""

import email
import email.policy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from astropy.coordinates import SkyCoord

STARS = SkyCoord([10.0, 10.0001, 359.9999], [5.0, 5.0, -5.0], unit="deg")
NAMES = ["first", "second", "third"]


class Sky(ThreadingHTTPServer):
    """Cross-match as the CDS does, or misbehave as `mood` says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.mood = "well"
        self.whole = True
        """Whether the last bytes of an answer are sent."""
        self.change: Callable[[str], str] = str
        """What becomes of an answer in the mood `changes`."""
        self.asked = 0
        self.let_go = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/xmatch"


class Answer(BaseHTTPRequestHandler):
    server: Sky

    def do_POST(self) -> None:
        self.server.asked += 1
        body = self.rfile.read(int(self.headers["Content-Length"]))
        mood = self.server.mood
        if mood == "hangs":
            self.server.let_go.wait(60)
            return
        if mood == "drops":
            self.connection.close()
            return
        text = "<html>maintenance</html>" if mood == "babbles" else self._pairs(body)
        text = self.server.change(text) if mood == "changes" else text
        self.send_response(503 if mood == "refuses" else 200)
        if mood == "chunks":
            self.send_header("Transfer-Encoding", "chunked")
        elif mood != "ends anywhere":
            self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        with suppress(OSError):
            if mood == "trickles":
                while not self.server.let_go.wait(0.02):
                    self.wfile.write(b"x")
            elif mood == "chunks":
                for piece in (text[:40], text[40:]):
                    self.wfile.write(f"{len(piece):x}\r\n{piece}\r\n".encode())
                self.wfile.write(b"0\r\n\r\n" if self.server.whole else b"")
            else:
                self.wfile.write(text.encode()[: None if self.server.whole else -9])

    def _pairs(self, body: bytes) -> str:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        form = email.message_from_bytes(head + body, policy=email.policy.HTTP)
        parts = {
            part.get_param("name", header="content-disposition"): part.get_content()
            for part in form.iter_parts()
        }
        radius = float(parts["distMaxArcsec"])
        lines = ["angDist,place,ra_of_alert,dec_of_alert,main_id,otype"]
        for line in parts["cat1"].split()[1:]:
            place, ra, dec = line.split(",")
            apart = SkyCoord(float(ra), float(dec), unit="deg").separation(STARS).arcsec
            lines += [
                f"{away},{place},{ra},{dec},{name},"
                for away, name in zip(apart, NAMES, strict=True)
                if away <= radius
            ]
        return "\n".join(lines)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def running_sky() -> Iterator[Sky]:
    """Run the server until the end of the block; then requests that hang are released."""
    server = Sky()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.let_go.set()
        server.shutdown()
        server.server_close()
        thread.join()

"""A server of keys that is as unreliable as a test wants it to be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class KeyServer:
    """Answers as `answer` says: a status and a body; None keeps everybody waiting until it is another."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/keys"
        self.asked = 0
        self._answer: tuple[int, str] | None = (500, "")
        self._changed = threading.Condition()

    def become(self, answer: tuple[int, str] | None) -> None:
        """Answer so from now on, also those who wait."""
        with self._changed:
            self._answer = answer
            self._changed.notify_all()

    def answer(self) -> tuple[int, str]:
        """What the next one is told, who may have to wait for it."""
        with self._changed:
            self.asked += 1
            self._changed.wait_for(lambda: self._answer is not None, timeout=60)
            return self._answer or (503, "")


@contextmanager
def key_server() -> Iterator[KeyServer]:
    """One on loopback, which begins with failures."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = keys.answer()
            try:
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())
            except OSError:
                self.close_connection = True  # who asked has gone

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called there
            """Nothing: the test's output is for the test."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False  # closing waits for those who are answered
    keys = KeyServer(server.server_port)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield keys
    finally:
        keys.become((503, ""))
        server.shutdown()
        server.server_close()
        thread.join()

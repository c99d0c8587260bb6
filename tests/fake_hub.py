"""A model hub on a loopback port that misbehaves on request."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34


def git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class FakeHub:
    """Serves one repository; `files` by path. Files of 1000 bytes and more are "large" (LFS)."""

    def __init__(self, repo: str, files: dict[str, bytes]) -> None:
        self.repo = repo
        self.files = files
        self.commit = COMMIT
        self.served = dict.fromkeys(files, 0)
        """Bytes sent, by path."""
        self.asked: list[str] = []
        """Request paths, in order."""
        self.ranges: list[str] = []
        self.cut_after: list[int] = []
        """Each entry ends one answer after that many bytes."""
        self.corrupt: dict[str, bytes] = {}
        """What is sent instead of a file, by path."""
        self.ignore_ranges = False
        self.status = 200
        self.silent = False
        """Take connections and never answer."""
        self.reached = threading.Event()
        """Set when a part of a file has been sent to somebody who waits for `go_on`."""
        self.go_on: threading.Event | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.go_on:
            self.go_on.set()
        self._server.shutdown()
        self._server.server_close()

    def description(self) -> dict[str, Any]:
        """What the hub's API says about the commit."""
        siblings = []
        for path, data in self.files.items():
            entry: dict[str, Any] = {"rfilename": path, "size": len(data), "blobId": git_sha1(data)}
            if len(data) >= 1000:
                entry["blobId"] = git_sha1(b"a pointer")
                entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            siblings.append(entry)
        return {"sha": self.commit, "siblings": siblings}

    def _handler(hub) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments: Any) -> None:
                pass

            def do_GET(self) -> None:
                self.close_connection = True
                path = unquote(urlsplit(self.path).path)
                hub.asked.append(path)
                if hub.status != 200:
                    self._send(hub.status, b"")
                elif path.startswith(f"/api/models/{hub.repo}/revision/"):
                    self._send(200, json.dumps(hub.description()).encode())
                elif match := re.fullmatch(f"/{hub.repo}/resolve/{hub.commit}/(.*)", path):
                    self._file(match[1])
                else:
                    self._send(404, b"")

            def _send(self, status: int, data: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def _file(self, path: str) -> None:
                data = hub.corrupt.get(path, hub.files[path])
                wanted = self.headers.get("Range", "")
                hub.ranges.append(wanted)
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
                start = 0 if hub.ignore_ranges else start
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(data) - start))
                self.end_headers()
                rest = data[start:]
                if hub.cut_after:
                    rest = rest[: hub.cut_after.pop(0)]
                half = len(rest) // 2 if hub.go_on else len(rest)
                self._write(path, rest[:half])
                if hub.go_on:
                    hub.reached.set()
                    hub.go_on.wait(30)
                    self._write(path, rest[half:])

            def _write(self, path: str, data: bytes) -> None:
                try:
                    self.wfile.write(data)
                    self.wfile.flush()
                    hub.served[path] += len(data)
                except OSError:
                    pass  # who asked is dead

        return Handler

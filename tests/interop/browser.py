"""Headless Chromium as an interop client: it loads a page from here, which sends its results back.

Threads: the page is served by one thread of its own.
"""

import contextlib
import http.server
import json
import os
import queue
import subprocess
import tempfile
import threading
import urllib.parse
from pathlib import Path

from tests.interop.needs import chromium, mqtt_js

SCRIPTS = Path(__file__).parent / "mqtt_js"
PAGE_DEADLINE_S = 120

# No GPU, no network but the page's own, nothing of another run.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
)


class _PageServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), _PageHandler)
        self.files = files
        self.results = queue.Queue()


class _PageHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, kind = self.server.files.get(urllib.parse.urlsplit(self.path).path, (None, None))
        if path is None:
            self.send_error(404)
            return
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self):
        results = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        self.server.results.put(results)

    def log_message(self, *_words):
        pass


@contextlib.contextmanager
def _page_server():
    script = "text/javascript; charset=utf-8"
    files = {
        "/": (SCRIPTS / "in_browser.html", "text/html; charset=utf-8"),
        "/scenarios.js": (SCRIPTS / "scenarios.js", script),
        "/findings.js": (SCRIPTS / "findings.js", script),
        "/mqtt.min.js": (mqtt_js() / "dist" / "mqtt.min.js", script),
    }
    with _PageServer(files) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def temporary_environment():
    """An environment for Chromium, which leaves its temporary files behind when it is terminated.

    Their folder is not a test's, because a socket's path must be short.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield {**os.environ, "TMPDIR": folder}


def results_in_chromium(folder, trusted_keys=(), **asked):
    """What the page finds out. `asked` is its query, `trusted_keys` are the SHA-256 of public keys,
    in base64, whose certificates Chromium takes although it does not know who signed them."""
    program = chromium()
    log_path = folder / "chromium.log"
    with (
        _page_server() as server,
        log_path.open("wb") as log,
        temporary_environment() as environment,
    ):
        url = f"http://127.0.0.1:{server.server_port}/?{urllib.parse.urlencode(asked)}"
        command = [program, *FLAGS, f"--user-data-dir={folder / 'profile'}"]
        if trusted_keys:
            command.append(f"--ignore-certificate-errors-spki-list={','.join(trusted_keys)}")
        process = subprocess.Popen(
            [*command, "--remote-debugging-port=0", url],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
        )
        try:
            return server.results.get(timeout=PAGE_DEADLINE_S)
        except queue.Empty:
            raise AssertionError(
                f"the page sent nothing: {log_path.read_text(errors='replace')[-2000:]}"
            ) from None
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

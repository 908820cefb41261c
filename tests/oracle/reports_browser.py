"""Chromium as somebody who opens a page, reads it and presses keys: its DevTools protocol.

Threads: one reads what Chromium prints, and the WebSocket library has its own.
"""

import contextlib
import itertools
import json
import subprocess
import threading

from websockets.sync.client import connect

from tests.interop.browser import FLAGS, temporary_environment
from tests.interop.needs import chromium

DEADLINE_S = 60
LISTENING = "DevTools listening on "

# Resolves when the page's own script says that it is done.
RENDERED = """
new Promise((resolve) => {
  const root = document.documentElement;
  const look = () => root.dataset.rendered && resolve(Number(root.dataset.rendered));
  new MutationObserver(look).observe(root, { attributes: true });
  look();
})
"""


class Page:
    """One tab."""

    def __init__(self, socket):
        self._socket = socket
        self._numbers = itertools.count(1)
        self._session = None
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self._call("Page.enable")

    def open(self, path):
        """Milliseconds from navigation to rendered, as measured inside the page."""
        self._call("Page.navigate", url=path.as_uri())
        self._wait(lambda answer: answer.get("method") == "Page.loadEventFired")
        return self.evaluate(RENDERED)

    def evaluate(self, expression):
        answer = self._call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key):
        text = {"Enter": "\r", "Tab": "", " ": " "}[key]
        code = {"Enter": 13, "Tab": 9, " ": 32}[key]
        fields = {"key": key, "windowsVirtualKeyCode": code}
        self._call("Input.dispatchKeyEvent", type="keyDown", text=text, **fields)
        self._call("Input.dispatchKeyEvent", type="keyUp", **fields)

    def resize(self, width):
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=800,
            deviceScaleFactor=1,
            mobile=True,
        )

    def emulate(self, media="screen", scheme="light"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", media=media, features=features)

    def screenshot(self):
        """A PNG in base64."""
        return self._call("Page.captureScreenshot", captureBeyondViewport=False)["data"]

    def _call(self, method, **parameters):
        number = next(self._numbers)
        call = {"id": number, "method": method, "params": parameters}
        if self._session:
            call["sessionId"] = self._session
        self._socket.send(json.dumps(call))
        answer = self._wait(lambda answer: answer.get("id") == number)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def _wait(self, is_it):
        while True:
            answer = json.loads(self._socket.recv(timeout=DEADLINE_S))
            if is_it(answer):
                return answer


@contextlib.contextmanager
def browser_page(folder):
    """A tab of a Chromium of its own, whose profile is in `folder`."""
    with temporary_environment() as environment, _page(folder, environment) as page:
        yield page


@contextlib.contextmanager
def _page(folder, environment):
    command = [chromium(), *FLAGS, f"--user-data-dir={folder / 'profile'}"]
    process = subprocess.Popen(
        [*command, "--remote-debugging-port=0", "about:blank"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
    )
    said = []
    try:
        for line in process.stderr:
            said.append(line)
            if line.startswith(LISTENING):
                break
        else:
            raise AssertionError(f"Chromium does not listen: {''.join(said)[-2000:]}")
        reader = threading.Thread(target=process.stderr.read)
        reader.start()
        url = said[-1].removeprefix(LISTENING).strip()
        with connect(url, max_size=None, proxy=None, open_timeout=DEADLINE_S) as socket:
            yield Page(socket)
        process.terminate()
        reader.join(DEADLINE_S)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()

"""A headless Chromium that the tests drive: its DevTools protocol over a pipe, nothing but the standard library.

The browser can reach no host: every name leads nowhere. What a page says on its console and what it asks for is kept.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--mute-audio", "--hide-scrollbars",
    "--force-device-scale-factor=1", "--force-color-profile=srgb", "--disable-features=Translate,OptimizationHints",
    "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe",
)  # fmt: skip
# moves the two pipes to the file descriptors 3 and 4, where Chromium looks for them
STARTER = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execvp(sys.argv[3], sys.argv[3:])"
)
ANSWER_S = 60.0


def chromium() -> str:
    """The program; skips where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(NAMES)} is here")
    return found


class Browser:
    """One browser with one page, `width` x `height` pixels."""

    def __init__(self, width: int = 1280, height: int = 900) -> None:
        self._size = (width, height)
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._buffer = b""
        self._last = 0
        self._target = self._session = ""
        self.console: list[str] = []  # errors and warnings, of the script and of the browser
        self.requests: list[str] = []  # every address that was asked for

    def __enter__(self) -> Browser:
        program = chromium()
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        self._out, self._in = ours_out, ours_in
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (theirs_in, theirs_out)]
        command = [program, *FLAGS, f"--window-size={self._size[0]},{self._size[1]}", "about:blank"]
        command.insert(1, f"--user-data-dir={self._profile.name}")
        self._process = subprocess.Popen(
            [sys.executable, "-c", STARTER, *map(str, high), *command],
            pass_fds=high, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for fd in (theirs_in, theirs_out, *high):
            os.close(fd)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._out)
        os.close(self._in)
        self._profile.cleanup()

    def open(self, path: Path, fragment: str = "") -> None:
        """Load a file in a new tab, which takes the place of the last one, and wait until it is loaded."""
        if self._target:
            self._call("Target.closeTarget", {"targetId": self._target}, session=False)
        self._target = self._call("Target.createTarget", {"url": "about:blank"}, session=False)["targetId"]
        attached = self._call("Target.attachToTarget", {"targetId": self._target, "flatten": True}, session=False)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")
        size = {"width": self._size[0], "height": self._size[1], "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", size)
        self.console.clear()
        self.requests.clear()
        answer = self._call("Page.navigate", {"url": path.resolve().as_uri() + fragment})
        assert "errorText" not in answer, answer
        self.wait("document.readyState === 'complete' && location.protocol === 'file:'")

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript gives in the page."""
        words = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        answer = self._call("Runtime.evaluate", words)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: float = 30.0) -> None:
        """Wait until an expression is true."""
        until = time.monotonic() + seconds
        while not self.value(condition):
            assert time.monotonic() < until, f"still not so after {seconds} s: {condition}"
            time.sleep(0.05)

    def click(self, x: float, y: float) -> None:
        """Press and release the mouse at a place of the window."""
        place = {"x": x, "y": y, "button": "left", "clickCount": 1}
        self._call("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})
        self._call("Input.dispatchMouseEvent", {"type": "mousePressed", "buttons": 1, **place})
        self._call("Input.dispatchMouseEvent", {"type": "mouseReleased", **place})

    def move(self, x: float, y: float) -> None:
        """Move the mouse to a place of the window."""
        self._call("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})

    def picture(self, *, whole: bool = False) -> bytes:
        """A PNG of the window, or of the whole page."""
        words: dict[str, Any] = {"format": "png"}
        if whole:
            size = self._call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
            words |= {"clip": clip, "captureBeyondViewport": True}
        return base64.b64decode(self._call("Page.captureScreenshot", words)["data"])

    def _call(self, method: str, params: dict[str, Any] | None = None, *, session: bool = True) -> dict[str, Any]:
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": params or {}}
        if session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._last:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self._note(answer.get("method", ""), answer.get("params", {}))

    def _read(self) -> dict[str, Any]:
        until = time.monotonic() + ANSWER_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"the browser gave no answer in {ANSWER_S} s"
            data = os.read(self._in, 1 << 20)
            assert data, "the browser has ended"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _note(self, event: str, words: dict[str, Any]) -> None:
        if event == "Runtime.exceptionThrown":
            self.console.append(str(words["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled" and words["type"] in ("error", "warning", "assert"):
            self.console.append(" ".join(str(arg.get("value", arg.get("description"))) for arg in words["args"]))
        elif event == "Log.entryAdded" and words["entry"]["level"] in ("error", "warning"):
            self.console.append(words["entry"]["text"])
        elif event == "Network.requestWillBeSent":
            self.requests.append(words["request"]["url"])

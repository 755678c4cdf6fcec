"""Chromium for tests: a browser, a page that talks to Python, and what went wrong in it."""

import base64
import contextlib
import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-dev-shm-usage",
]  # fmt: skip
# Numbers go to the page and come back as base64, which is exact and much shorter than JSON.
BRIDGE = """
(() => {
  const bytesOf = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const textOf = (bytes) => {
    let text = "";
    for (let k = 0; k < bytes.length; k += 32768) text += String.fromCharCode(...bytes.subarray(k, k + 32768));
    return btoa(text);
  };
  const isPlain = (value) => value !== null && typeof value === "object";
  window.received = (value) => {
    if (!isPlain(value)) return value;
    if ("$floats" in value) return new Float32Array(bytesOf(value.$floats).buffer);
    if ("$bytes" in value) return bytesOf(value.$bytes);
    if (Array.isArray(value)) return value.map(window.received);
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, window.received(each)]));
  };
  window.sent = (value) => {
    if (value instanceof Float32Array)
      return { $floats: textOf(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)) };
    if (!isPlain(value)) return value;
    if (Array.isArray(value)) return value.map(window.sent);
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, window.sent(each)]));
  };
})();
"""


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Start Chromium. Without it, skip the test, or fail it in CI."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("there is no Chromium, and in CI there must be: apt-get install chromium")
        pytest.skip("there is no Chromium to look at pages with: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="the browser needs the group test: uv sync")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without logging."""

    def log_message(self, *args: Any) -> None:
        pass


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder, and return its address."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class Tab:
    """A page that records its errors, warnings and requests, and runs JavaScript on numbers from Python."""

    def __init__(self, browser: Any, address: str, *, script: str = "", **context: Any) -> None:
        self.context = browser.new_context(**context)
        self.page, self.problems, self.requests = self.context.new_page(), list[str](), list[str]()
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.add_init_script(BRIDGE + script)
        self.page.goto(address)

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def run(self, body: str, **values: Any) -> Any:
        """Run the body of an async function. Tensors become Float32Arrays and back, and bytes become Uint8Arrays."""
        function = f"""async (values) => {{
            const {{ {", ".join(values)} }} = window.received(values);
            return window.sent(await (async () => {{ {body} }})());
        }}"""
        return _back(self.page.evaluate(function, {name: _there(value) for name, value in values.items()}))

    def close(self) -> None:
        self.context.close()


def _there(value: Any) -> Any:
    if isinstance(value, Tensor):
        return {"$floats": base64.b64encode(value.detach().float().contiguous().numpy().tobytes()).decode()}
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {key: _there(each) for key, each in value.items()}
    return [_there(each) for each in value] if isinstance(value, (list, tuple)) else value


def _back(value: Any) -> Any:
    if isinstance(value, dict) and "$floats" in value:
        return torch.from_numpy(np.frombuffer(base64.b64decode(value["$floats"]), np.float32).copy())
    if isinstance(value, dict):
        return {key: _back(each) for key, each in value.items()}
    return [_back(each) for each in value] if isinstance(value, list) else value

"""Waiting for what another process does."""

import subprocess
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 600  # seconds; only a hang takes that long, even on a slow machine


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[Any] | None" = None) -> None:
    """Wait until a condition holds. Fails if the time is up, or if the process has ended and the condition fails."""
    end = time.monotonic() + PATIENCE
    while not condition():
        ended = process is not None and process.poll() is not None
        assert not ended or condition(), "the process has ended"
        assert time.monotonic() < end, "the time is up"
        time.sleep(0.01)

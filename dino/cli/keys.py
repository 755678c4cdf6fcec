"""Single key presses: read from the terminal in a thread, without Enter."""

import os
import queue
import sys
import threading
from types import TracebackType
from typing import Any

CLOSED = ""  # the terminal is gone


class Keys:
    """Key presses of the terminal, put into a queue as single letters. Without a terminal, there are none.

    Args:
        events: the queue.
    """

    def __init__(self, events: "queue.SimpleQueue[str]") -> None:
        self.events = events
        self.are_here = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
        self._mode: Any = None  # of the terminal, from before

    def __enter__(self) -> "Keys":
        if self.are_here:
            if sys.platform != "win32":
                import termios
                import tty

                self._mode = termios.tcgetattr(sys.stdin)
                tty.setcbreak(sys.stdin)  # Ctrl-C still interrupts
            threading.Thread(target=self._read, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if sys.platform != "win32" and self._mode is not None:
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._mode)

    def _read(self) -> None:
        while pressed := _next_keys():
            if pressed[0].isprintable():  # an arrow is several characters, and the first is a control character
                for key in pressed.lower():
                    self.events.put(key)
        self.events.put(CLOSED)


def _next_keys() -> str:
    """Wait for a key press, or several if they came quickly. Returns "" if the terminal is gone."""
    if sys.platform == "win32":
        import msvcrt

        pressed = msvcrt.getwch()
        return "\0" + msvcrt.getwch() if pressed in ("\0", "\xe0") else pressed
    try:
        return os.read(sys.stdin.fileno(), 64).decode(errors="replace")
    except OSError:
        return ""

"""Signals that ask a run to stop: Ctrl-C, SIGTERM, a terminal that is closed, and Ctrl-Break on Windows."""

import os
import signal
from collections.abc import Callable


class StopOnSignal:
    """A context in which signals only set a flag, so that a loop can stop between two steps.

    A second signal ends the program at once. Ctrl-C and the closing of a terminal stay ignored if they were: nohup and
    shells that start a program in the background ask for that. SIGTERM always stops.

    Args:
        on_signal: called at the first signal. Returns the bytes to print on the error stream.

    Attributes:
        received: the first signal that arrived, or None.
    """

    def __init__(self, on_signal: Callable[[], bytes] = bytes) -> None:
        self.received: signal.Signals | None = None
        self._on_signal = on_signal

    def __enter__(self) -> "StopOnSignal":
        names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # Windows has no SIGHUP, and only Windows has Ctrl-Break
        numbers = [signal.Signals[name] for name in names if name in signal.Signals.__members__]
        heard = [n for n in numbers if n == signal.SIGTERM or signal.getsignal(n) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._receive) for number in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _: object) -> None:
        if self.received is not None:
            os._exit(128 + number)
        self.received = signal.Signals(number)
        if message := self._on_signal():
            os.write(2, message)  # a print() in a signal handler may interrupt another print()

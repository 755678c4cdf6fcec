"""Signals that ask a program to stop: Ctrl-C, SIGTERM, a terminal that is closed, and Ctrl-Break on Windows."""

import contextlib
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator

CTRL_C = "SIGINT"
OTHERS = ("SIGTERM", "SIGHUP", "SIGBREAK")  # Windows has no SIGHUP, and only Windows has Ctrl-Break


@contextlib.contextmanager
def stopping_like_ctrl_c() -> Iterator[None]:
    """A context in which the other signals stop the program like Ctrl-C: as a KeyboardInterrupt, which cleans up.

    At the end, the program says which signal stopped it, and exits with 128 plus the signal's number, whatever the body
    made of the interrupt. Only the first signal counts, because a terminal that is closed may send several.
    """
    received: list[signal.Signals] = []

    def interrupt(number: int, _: object) -> None:
        if not received:
            received.append(signal.Signals(number))
            _leave_closed_terminal(received[0])
            raise KeyboardInterrupt

    for number in _heard(*OTHERS):
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        if received:
            print(f"dino: stopped by {received[0].name}.", file=sys.stderr)
            sys.exit(128 + received[0])


def _heard(*names: str) -> list[signal.Signals]:
    """Return the signals that this system has and the caller didn't ask to ignore. SIGTERM always stops."""
    numbers = [signal.Signals[name] for name in names if name in signal.Signals.__members__]
    return [n for n in numbers if n == signal.SIGTERM or signal.getsignal(n) is not signal.SIG_IGN]


def _leave_closed_terminal(received: signal.Signals) -> None:
    """After the signal of a terminal that is closed, print to nowhere: writing to that terminal would fail."""
    if received.name != "SIGHUP":
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(stream).st_mode):  # isatty is False by now
                os.dup2(nowhere, stream)
    os.close(nowhere)


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
        self._before = {number: signal.signal(number, self._receive) for number in _heard(CTRL_C, *OTHERS)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _: object) -> None:
        if self.received is not None:
            os._exit(128 + number)
        self.received = signal.Signals(number)
        _leave_closed_terminal(self.received)
        if message := self._on_signal():
            os.write(2, message)  # a print() in a signal handler may interrupt another print()

"""Runs: training in a folder with a log, grids of samples and saves; what sums a run up; and finding it again.

    trainer = Trainer(PRESETS["quick"])
    for progress in train(trainer, Path("runs/mine")):
        print(progress.images, progress.loss)

Whatever ends a run, its folder holds a state to go on from and weights to draw with.
"""

import os
import signal

from . import distributed


class StopOnSignal:
    """Within this context Ctrl-C, SIGTERM and a closed terminal only raise a flag, for a loop to see between two steps.

    A second signal ends the program at once.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def __enter__(self) -> "StopOnSignal":
        names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
        numbers = [signal.Signals[name] for name in names if name in signal.Signals.__members__]
        self._before = {number: signal.signal(number, self._receive) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _: object) -> None:
        if self.received is not None:
            os._exit(128 + number)
        self.received = signal.Signals(number)
        if not distributed.TORCHRUN:  # which passes on its signals once, and counts the seconds itself
            os.write(2, b"\nstopping after this step; once more ends it at once, unsaved\n")

"""Signals that ask a run to stop, and those that stay ignored."""

import os
import signal
from collections.abc import Iterator

import pytest

from dino.trainer.signals import StopOnSignal

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")


@pytest.fixture(params=["SIGINT", "SIGHUP"])
def ignored(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal that is ignored, as in a program that nohup or a script started."""
    number = signal.Signals[request.param]
    before = signal.signal(number, signal.SIG_IGN)
    yield number
    signal.signal(number, before)


def test_an_ignored_signal_stays_ignored_and_sigterm_stops(ignored: signal.Signals) -> None:
    with StopOnSignal() as stop:
        os.kill(os.getpid(), ignored)
        assert stop.received is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == signal.SIGTERM
    assert signal.getsignal(ignored) == signal.SIG_IGN


def test_the_handlers_from_before_are_back_afterwards() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with StopOnSignal() as stop:
        os.kill(os.getpid(), signal.SIGINT)
    assert stop.received == signal.SIGINT
    assert [signal.getsignal(number) for number in numbers] == before

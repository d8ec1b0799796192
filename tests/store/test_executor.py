"""Where writing runs."""

import sys
import threading

import pytest

from gamekit.store import InlineExecutor, writer_thread
from gamekit.store.executor import SWITCH_INTERVAL_S, let_threads_in


def test_inline_default() -> None:
    assert InlineExecutor().submit(lambda n: n + 1, 1).result() == 2


def test_inline_behavior_same_thread() -> None:
    assert InlineExecutor().submit(threading.get_ident).result() == threading.get_ident()


def test_inline_error_waits_in_the_future() -> None:
    future = InlineExecutor().submit(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        future.result()


def test_inline_behavior_crash_passes_through() -> None:
    def crash() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        InlineExecutor().submit(crash)


def test_writer_thread_default() -> None:
    with writer_thread() as executor:
        threads = {executor.submit(threading.get_ident).result() for _ in range(5)}
    assert len(threads) == 1


def test_let_threads_in_default() -> None:
    before = sys.getswitchinterval()
    try:
        for interval, expected in ((0.005, SWITCH_INTERVAL_S), (SWITCH_INTERVAL_S / 2, SWITCH_INTERVAL_S / 2)):
            sys.setswitchinterval(interval)
            let_threads_in()
            assert sys.getswitchinterval() == pytest.approx(expected, rel=0.1)
    finally:
        sys.setswitchinterval(before)

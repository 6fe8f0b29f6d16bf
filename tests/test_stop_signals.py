"""Signals: work under way is finished first, but for a second signal."""

import os
import signal

import pytest

from semivit_tf.stop_signals import Stopped, finishing_first, stops_on_signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_what_is_not_a_step(number):
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as stopped, stops_on_signals():
        os.kill(os.getpid(), number)
    assert stopped.value.number == number
    assert signal.getsignal(number) is before


def test_the_first_signal_is_a_request_and_the_second_an_order(capsys):
    reached = []
    with stops_on_signals():
        with pytest.raises(Stopped) as stopped, finishing_first() as request:
            os.kill(os.getpid(), signal.SIGTERM)
            assert request.made
            reached.append("after one")
        assert stopped.value.number == signal.SIGTERM
        with pytest.raises(Stopped), finishing_first() as request:
            assert not request.made
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("after two")
    assert reached == ["after one"]
    assert capsys.readouterr().err.count("Once more: at once") == 2


def test_signals_that_a_process_ignores_stay_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stops_on_signals():
            os.kill(os.getpid(), signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)

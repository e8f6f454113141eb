"""Ctrl+C for the processes that tests start."""

from __future__ import annotations

import signal


def listen_to_ctrl_c() -> None:
    """Let Ctrl+C end what is started from here, also where a shell runs the tests in background.

    Such a shell has its commands ignore it, and what they start ignores it with them.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)

"""The worker's loop: requests are carried out one after the other, and can be cancelled.

It is the same in a process of its own and in a thread of Slicer's: ``receive`` and ``send`` say
how messages travel.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress

from GDLACore.errors import EngineError
from GDLACore.worker.inbox import Inbox
from GDLACore.worker.messages import (
    VERSION,
    Alive,
    Cancel,
    Command,
    Greeting,
    Hello,
    Leaving,
    Load,
    Preview,
    Quit,
    Refused,
    Report,
    Segment,
    Unload,
)
from GDLACore.worker.protocol import OtherVersion, ProtocolError

Receive = Callable[[], Command | None]
Send = Callable[[Report], None]

_HEARTBEAT_S = 1.0


def serve(receive: Receive, send: Send, gone: Callable[[], None]) -> None:
    """Carry out the commands until the last of them, or until there was nothing to do for long.

    ``receive`` waits for the next command; None if there will be none any more, whereupon ``gone``
    is called, from another thread. It raises ProtocolError for what is no command. ``send`` may be
    called from any thread.
    """
    hello = _greeted(receive, send)
    if hello is None:
        gone()
        return
    inbox: Inbox[Command] = Inbox()
    over = threading.Event()
    for work in (_receive_all, receive, inbox, send, gone), (_show_life, send, over):
        threading.Thread(target=work[0], args=work[1:], name="gdla-worker", daemon=True).start()
    try:
        _carry_out(inbox, send, hello.idle_s)
    finally:
        over.set()


def _greeted(receive: Receive, send: Send) -> Hello | None:
    """Return the client's greeting, answered; None if there is no talking to it."""
    while True:
        try:
            command = receive()
        except OtherVersion as error:
            send(Greeting(VERSION, os.getpid()))
            send(Refused(error))
            return None
        except ProtocolError as error:
            send(Refused(error))
            continue
        if isinstance(command, Hello):
            send(Greeting(VERSION, os.getpid()))
            return command
        if command is None:
            return None
        send(Refused(ProtocolError("came before the greeting")))


def _receive_all(
    receive: Receive, inbox: Inbox[Command], send: Send, gone: Callable[[], None]
) -> None:
    while True:
        try:
            command = receive()
        except ProtocolError as error:
            send(Refused(error))
            continue
        if command is None:
            inbox.close()
            gone()
            return
        if isinstance(command, Cancel):
            inbox.cancel()
        else:
            inbox.put(command)


def _show_life(send: Send, over: threading.Event) -> None:
    while not over.wait(_HEARTBEAT_S):
        send(Alive())


def _carry_out(inbox: Inbox[Command], send: Send, idle_s: float) -> None:
    # Not at the top: a client imports this module too, and the worker greets it before this second
    # of loading scipy and ONNX Runtime, which is over, with luck, when it is asked for something.
    from GDLACore.engine.runtime import onnx_runtime
    from GDLACore.worker.execution import run
    from GDLACore.worker.warm_model import WarmModel
    from GDLACore.worker.warm_volume import WarmVolume

    if not _is_for_a_server(inbox):
        with suppress(EngineError):  # which is told when a model needs it
            onnx_runtime()
    model, volume = WarmModel(), WarmVolume()
    try:
        while (task := inbox.take(idle_s)) is not None:
            match task.item:
                case Load() if _is_superseded(inbox):
                    pass
                case Load() | Segment() | Preview():
                    run(task, model, volume, send)
                case Unload():
                    model.close()
                case Quit():
                    return
                case Hello():
                    send(Refused(ProtocolError("was a second greeting")))
        if not inbox.closed:
            send(Leaving())
    finally:
        model.close()


def _is_for_a_server(inbox: Inbox[Command]) -> bool:
    """Return whether what is asked first needs nothing of this computer."""
    asked = [one for one in inbox.waiting() if isinstance(one, (Load, Segment, Preview))]
    return bool(asked) and asked[0].model.server is not None


def _is_superseded(inbox: Inbox[Command]) -> bool:
    return any(isinstance(command, (Load, Segment)) for command in inbox.waiting())

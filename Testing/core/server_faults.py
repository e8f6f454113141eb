"""What a server of models may do wrong, for the ``script`` of an ``InferenceServer``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from inference_server import Behaviour, Handler
from served_network import Reply

Answer = Callable[[], Reply]


def status(code: int, message: str = "no", **headers: str) -> Behaviour:
    """Answer with ``code`` and an error in words; of ``headers``, _ stands for -."""

    def behave(handler: Handler, _: Answer) -> None:
        body = b'{"error": "%s"}' % message.encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.send_body(code, body, named)

    return behave


def altered(change: Callable[[Reply], object]) -> Behaviour:
    """Answer with what ``change`` makes of the right answer."""

    def behave(handler: Handler, reply: Answer) -> None:
        right = reply()
        change(right)
        handler.send_reply(right)

    return behave


def body(content: bytes, **headers: str) -> Behaviour:
    """Answer 200 with ``content``, whatever was asked; of ``headers``, _ stands for -."""

    def behave(handler: Handler, _: Answer) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.send_body(200, content, named)

    return behave


def unmeasured(handler: Handler, reply: Answer) -> None:
    """Answer rightly, but say nowhere how long the answer is."""
    # Of this connection alone, after which the handler is gone.
    handler.send_header = partial(_all_but_length, handler.send_header)
    handler.send_reply(reply())
    handler.close_connection = True


def held(handler: Handler, reply: Answer) -> None:
    """Answer rightly, but not before the server is ``released``."""
    handler.server.reached.set()
    handler.server.released.wait()
    handler.send_reply(reply())


def silent(handler: Handler, _: Answer) -> None:
    """Never answer; close the connection when the server is ``released``."""
    handler.server.reached.set()
    handler.server.released.wait()
    handler.close_connection = True


def hang_up(handler: Handler, _: Answer) -> None:
    """Close the connection without a word."""
    handler.close_connection = True


def garbage(handler: Handler, _: Answer) -> None:
    """Answer in no language that a browser knows."""
    handler.wfile.write(b"220 mail.hospital ESMTP\r\n")
    handler.close_connection = True


def cut(handler: Handler, _: Answer) -> None:
    """Close the connection in the middle of the answer."""
    _begin(handler)
    handler.close_connection = True


def stalled(handler: Handler, _: Answer) -> None:
    """Say no more in the middle of the answer, until the server is ``released``."""
    _begin(handler)
    handler.server.reached.set()
    handler.server.released.wait()
    handler.close_connection = True


def dripping(handler: Handler, _: Answer) -> None:
    """Answer byte by byte, so slowly that a header takes hours."""
    handler.send_response(200)
    handler.flush_headers()
    handler.wfile.write(b"X-Long: ")
    while not handler.server.released.wait(0.02):
        handler.wfile.write(b"x")
        handler.wfile.flush()
    handler.close_connection = True


def _all_but_length(send: Callable[[str, str], None], name: str, value: str) -> None:
    if name != "Content-Length":
        send(name, value)


def _begin(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"{")
    handler.wfile.flush()

"""A server is given as much at a time as it answers in time."""

from __future__ import annotations

from types import SimpleNamespace

from onnx_networks import slices
from phantom import make_card
from remote_engines import remote_engine
from served_network import ServedNetwork

from GDLACore.remote import engine as remote
from GDLACore.remote.pace import Pace


def test_late_answers_halve_what_is_under_way_but_never_to_one():
    pace = Pace(30.0)
    seen = [pace.in_flight]
    for _ in range(4):
        pace.answered_after(20.0)
        seen.append(pace.in_flight)
    assert seen == [8, 4, 2, 2, 2]


def test_soon_answers_add_one_up_to_the_most_and_others_change_nothing():
    pace = Pace(30.0)
    pace.answered_after(10.0)
    for seconds, expected in ((0.1, 5), (5.0, 5), (0.1, 6), (0.1, 7), (0.1, 8), (0.1, 8)):
        pace.answered_after(seconds)
        assert pace.in_flight == expected


def test_an_engine_asks_a_slow_server_for_less_and_for_more_when_it_is_fast_again(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(remote, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def late(handler, reply) -> None:
        now[0] += 20
        handler.send_reply(reply())

    with remote_engine(ServedNetwork(make_card()), timeout_s=30) as (engine, server):
        server.script = [late]
        engine.predict(slices(1, 64, 64), "smooth")
        assert engine.in_flight == 4
        engine.predict(slices(1, 64, 64), "smooth")
        assert engine.in_flight == 5

"""Requests wait in order, and cancelling reaches those made before it and no others."""

from __future__ import annotations

import threading

from GDLACore.worker.inbox import Inbox


def test_tasks_come_in_the_order_in_which_they_were_put():
    inbox = Inbox()
    for item in "abc":
        inbox.put(item)
    assert inbox.waiting() == ["a", "b", "c"]
    assert [inbox.take(0).item for _ in range(3)] == ["a", "b", "c"]
    assert inbox.waiting() == []


def test_cancelling_reaches_what_is_being_done_and_what_waits_but_nothing_later():
    inbox = Inbox()
    inbox.put("being done")
    inbox.put("waiting")
    being_done = inbox.take(0)
    assert not being_done.cancelled
    inbox.cancel()
    inbox.put("later")
    waiting, later = inbox.take(0), inbox.take(0)
    assert (being_done.cancelled, waiting.cancelled, later.cancelled) == (True, True, False)


def test_nothing_comes_of_an_empty_box_when_patience_ends():
    assert Inbox().take(0) is None


def test_who_waits_is_woken_by_a_task():
    inbox, taken = Inbox(), []
    waiter = threading.Thread(target=lambda: taken.append(inbox.take(600).item), daemon=True)
    waiter.start()
    inbox.put("a")
    waiter.join(60)
    assert taken == ["a"]


def test_closing_wakes_who_waits_cancels_everything_and_lets_nothing_more_be_taken():
    inbox, taken = Inbox(), []
    inbox.put("being done")
    being_done = inbox.take(0)
    waiter = threading.Thread(target=lambda: taken.append(inbox.take(600)), daemon=True)
    waiter.start()
    inbox.close()
    waiter.join(60)
    assert taken == [None]
    inbox.put("too late")
    assert inbox.take(0) is None
    assert being_done.cancelled

"""A user who changes their mind a hundred times leaves nothing behind."""

from __future__ import annotations

import sys

import pytest
from cycles import Remains, cancel_at_random, cancel_while_computing, running_workers
from observer import Observer, faulty_worker

from GDLACore.worker import Finished


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc")
def test_a_hundred_cancelled_jobs_leave_no_process_no_file_and_no_memory(tmp_path):
    observer = Observer(python=faulty_worker("compute_forever"), folder=tmp_path, cancel_s=0.05)
    cancel_at_random(observer, 5, seed=1)
    assert isinstance(observer.segment(), Finished)
    before = Remains.now()
    cancel_at_random(observer, 100, seed=2)
    for _ in range(2):  # which chance may have spared on a slow machine
        cancel_while_computing(observer)
    assert isinstance(observer.segment(), Finished)
    assert len(observer.pids) > 2, "some had to be killed"
    # A process that was killed lets go of its pipes when its threads get their turn.
    observer.until(lambda: Remains.now().files <= before.files)
    observer.until(lambda: Remains.now().threads <= before.threads)
    assert Remains.now().mebibytes - before.mebibytes < 20
    observer.client.close()
    assert running_workers(tmp_path) == []
    assert list(tmp_path.iterdir()) == []

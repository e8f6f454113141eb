"""Slicer's window goes on while the panel segments: a guard with much room, and no measurement.

``Testing/bench/window.py`` measures.
"""

from __future__ import annotations

import numpy as np
import pytest
import slicer.util
from event_loop import EventLoop

# Where 0.05 is aimed at; other programs are on the machine as well, and other machines on the same
# processor, whose time counts as work.
WORK_S, WALL_S = 1.0, 10.0


@pytest.fixture
def panel(desktop, module):
    from GDLACore.imaging.reading import read_volume
    from GDLACore.resources import resource_path

    sample = read_volume(resource_path("samples", "ct-abdomen-dicom"))
    array = np.resize(sample.array, (300, *sample.array.shape[1:]))
    assert array.shape == (300, 512, 512)
    slicer.util.addVolumeFromArray(array, sample.ijk_to_ras, "CT")
    return desktop.show(module).panel


@pytest.mark.slow
def test_the_window_never_stands_still_while_a_large_ct_is_segmented(panel):
    loop = EventLoop()
    loop.call("Segment", panel.ui.segmentButton.click)
    loop.run_until(lambda: not panel.controller.isBusy, 200)
    assert "structures" in panel.ui.statusLabel.text
    assert len(loop.stretches) > 100
    assert loop.longest_work.processor_seconds < WORK_S, loop.longest_work
    assert loop.longest.seconds < WALL_S, loop.longest


def test_what_takes_long_is_found_with_its_name(desktop):
    import time

    import qt

    done = []

    def dawdle():
        begin = time.thread_time()
        while time.thread_time() - begin < 0.2:
            pass
        done.append(True)

    desktop.process_events()  # else drawing the window may take as long
    qt.QTimer.singleShot(1, dawdle)
    loop = EventLoop()
    loop.run_until(lambda: done)
    assert loop.longest_work.processor_seconds >= 0.2
    assert "dawdle at QTimer.singleShot()" in loop.longest_work.slowest
    loop.call("a click", dawdle)
    assert "a click" in loop.stretches[-1].slowest

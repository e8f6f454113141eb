"""The clicks of window.py, on the stand-in of Slicer's desktop; prints what each took as JSON.

A process of its own: Slicer's libraries may crash while the interpreter shuts down, after all work
is done, so it leaves without shutting down.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing" / "ui"), str(ROOT / "Testing" / "mrml")]

from slicer_host import application  # noqa: E402
from slicer_host import desktop as host  # noqa: E402

_folder = tempfile.TemporaryDirectory()
desktop = host.start(Path(_folder.name))

import numpy as np  # noqa: E402
import slicer  # noqa: E402
import slicer.util  # noqa: E402
from event_loop import EventLoop  # noqa: E402

from GDLACore.imaging.reading import read_volume  # noqa: E402
from GDLACore.resources import resource_path  # noqa: E402

_FELT_S = 0.05


class Window:
    """The panel of the module in Slicer's window, with a CT of some hundred slices."""

    def __init__(self, depth: int) -> None:
        self.cases: dict[str, dict[str, Any]] = {}
        self._module = desktop.load(ROOT / "GDLASegmenter" / "GDLASegmenter.py")
        sample = read_volume(resource_path("samples", "ct-abdomen-dicom"))
        array = np.resize(sample.array, (depth, *sample.array.shape[1:]))
        slicer.util.addVolumeFromArray(array, sample.ijk_to_ras, "CT")
        desktop.window.show()
        loop = EventLoop()
        loop.call("opening", lambda: desktop.show(self._module))
        self._note("the module is opened for the first time", loop)
        self.panel = slicer.modules.GDLASegmenterWidget.panel

    def segment(self, name: str) -> None:
        """Click Segment, and wait for the end."""
        loop, panel = EventLoop(), self.panel
        loop.call("Segment", panel.ui.segmentButton.click)
        loop.run_until(lambda: not panel.controller.isBusy, 600)
        assert panel.controller.error is None, panel.controller.error
        self._note(name, loop)
        panel.onTick()  # notes the result

    def click(self, name: str, button: Any) -> None:
        loop = EventLoop()
        loop.call(name, button.click)
        self._note(name, loop)

    def _note(self, name: str, loop: EventLoop) -> None:
        self.cases[name] = {
            "longest": loop.longest.seconds,
            "work": loop.longest_work.processor_seconds,
            "slowest": loop.longest_work.slowest,
            "felt": sum(one.seconds > _FELT_S for one in loop.stretches),
            "turns": len(loop.stretches),
        }


def main() -> None:
    """Open the module, segment in every way, and use the result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--depth", type=int, required=True)
    arguments = parser.parse_args()
    window = Window(arguments.depth)
    panel = window.panel
    window.segment("whole volume, the worker is only starting")
    window.segment("whole volume, warm")
    panel.parameters.segmentation = panel.parameters.result
    panel.parameters.largestComponent = True
    window.segment("again into the same segmentation, largest parts kept")
    window.click("the button Volumes", panel.ui.volumesButton)
    window.click("the button Edit in Segment Editor", panel.ui.editButton)
    device = panel._device
    desktop.quit()
    assert not desktop.problems, desktop.problems
    print(json.dumps({"cases": window.cases, "device": device}))


if __name__ == "__main__":
    try:
        main()
    finally:
        application.leave()
        _folder.cleanup()
        sys.stdout.flush()
        if sys.exc_info()[0] is None:
            os._exit(0)

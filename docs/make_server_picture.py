"""Let the panel have a real tritonserver segment the sample, and take a picture of it.

    python docs/make_server_picture.py

Real are the server, with the demonstration model as `gdla export --triton` writes it, the panel,
the worker, and Slicer's scene and views; the result must be that of this computer. Needs what the
tests in Testing/servers need. Writes docs/server-panel.png.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import slicer.util
from make_screenshots import DOCS, MARGINS, MODULES, PANEL, ROOT, Views, grab, host, save, window

sys.path.insert(0, str(ROOT / "Testing/servers"))

from real_triton import RunningTriton, start_triton

from GDLACore.cli import main as gdla
from GDLACore.engine import load_engine
from GDLACore.pipeline import segment_volume

ASIDE = np.array((-6.0, -20.0, 0.0))  # mm: where the slices are seen from the middle of the sample
PATIENT = np.array((0.0, -20.0, 0.0))


def picture(folder: Path, server: RunningTriton) -> None:
    desktop = host.start(folder)
    desktop.load(MODULES / "SampleData.py")
    module = desktop.load(ROOT / "GDLASegmenter/GDLASegmenter.py")
    desktop.application.startupCompleted.emit()
    desktop.window.show()
    views = Views()
    from GDLASegmenterLib import EnvironmentPart
    from GDLASegmenterLib.SampleCT import loadSampleCT

    EnvironmentPart.installed_builds = list  # a laptop without ONNX Runtime
    volume = loadSampleCT()[0]
    bounds = np.zeros(6)
    volume.GetRASBounds(bounds)
    middle = bounds.reshape(3, 2).mean(axis=1)
    views.show(volume, middle + ASIDE, middle + PATIENT)
    panel = desktop.show(module).panel
    ui = panel.ui
    desktop.window.resize(PANEL[0] + MARGINS, PANEL[1] + MARGINS)
    for section in (ui.inputsSection, ui.extentSection, ui.resultSection, ui.reviewSection):
        section.collapsed = True
    ui.advancedSection.collapsed = False
    ui.deviceComboBox.setCurrentIndex(ui.deviceComboBox.findData("remote"))
    ui.serverAddressLineEdit.text = server.url
    desktop.click(ui.testConnectionButton)
    desktop.wait_until(lambda: not panel.controller.isBusy, 30)
    print(ui.serverLabel.text)
    desktop.click(ui.segmentButton)
    desktop.wait_until(lambda: not panel.controller.isBusy, 60)
    panel.onTick()
    print(ui.statusLabel.text)
    compare(volume, panel.parameters.result)
    save(window(grab(module.widgetRepresentation()), views.picture()), DOCS / "server-panel.png")
    desktop.quit()
    assert not desktop.problems, [str(problem) for problem in desktop.problems]


def compare(volume, segmentation) -> None:
    """Say in how many voxels the server and this computer differ."""
    from GDLASegmenterLib.VolumeInput import readVolume

    with load_engine("demo-ct", device="cpu") as engine:
        expected = segment_volume(readVolume(volume), engine)
        values = {label.name: label.value for label in engine.card.labels}
    found, content = np.zeros_like(expected), segmentation.GetSegmentation()
    for segmentID in content.GetSegmentIDs():
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segmentID, volume)
        found[mask != 0] = values[content.GetSegment(segmentID).GetName()]
    different = int(np.count_nonzero(found != expected))
    print(f"{different} of {expected.size} voxels differ from this computer's")
    assert expected.any() and different <= 1e-5 * expected.size


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = str(folder / "models")
        failed = gdla(["export", "demo-ct", "--triton", models, "--backend", "python", "--quiet"])
        assert not failed
        with start_triton(folder / "models", folder) as server:
            picture(folder, server)
    from slicer_host import application

    application.leave()
    sys.stdout.flush()
    os._exit(0)  # Qt and VTK in one process may crash when the interpreter ends


if __name__ == "__main__":
    main()

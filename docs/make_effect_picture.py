"""Segment one slice with the Segment Editor effect, and take a picture of its options.

    python docs/make_effect_picture.py

Real are the effect, the worker, the demonstration model and Slicer's scene and views. Slicer's own
part of the Segment Editor is not drawn. Writes docs/effect-options.png.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import slicer
from make_screenshots import DOCS, MARGINS, MODULES, PANEL, ROOT, Views, grab, host, save, window
from pythonqt.declared import behaviour_of

SLICE = 7  # with liver, stomach, spleen and aorta
ASIDE = np.array((-6.0, -20.0, 0.0))  # mm: where the other two slices are, and the patient
PATIENT = np.array((0.0, -20.0, 0.0))


def picture(folder: Path) -> None:
    desktop = host.start(folder)
    desktop.load(MODULES / "SampleData.py")
    desktop.load(ROOT / "GDLASegmenter/GDLASegmenter.py")
    desktop.load(ROOT / "SegmentEditorGDLA/SegmentEditorGDLA.py")
    desktop.application.startupCompleted.emit()
    desktop.window.show()
    views = Views()
    from GDLASegmenterLib.SampleCT import loadSampleCT
    from GDLASegmenterLib.VolumeInput import IJKToWorldMatrix

    volume = loadSampleCT()[0]
    size = volume.GetImageData().GetDimensions()
    middle = (IJKToWorldMatrix(volume) @ (size[0] / 2, size[1] / 2, SLICE, 1))[:3]
    views.show(volume, middle + ASIDE, middle + PATIENT)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    editor = desktop.show("SegmentEditor").editor
    editor.setSegmentationNode(node)
    editor.setSourceVolumeNode(volume)
    editor.setActiveEffectByName("GDLA")
    effect = editor.effectByName("GDLA")
    options = effect.self()._options
    desktop.window.resize(PANEL[0] + MARGINS, PANEL[1] + MARGINS)
    desktop.process_events()
    options.allRadioButton.click()
    desktop.click(options.segmentButton)
    desktop.wait_until(lambda: options.segmentButton.enabled, 60)
    print(options.statusLabel.text)
    frame = behaviour_of(effect).frame
    save(window(grab(frame), views.picture()), DOCS / "effect-options.png")
    desktop.quit()
    assert not desktop.problems, [str(problem) for problem in desktop.problems]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        picture(Path(folder))
    from slicer_host import application

    application.leave()
    sys.stdout.flush()
    os._exit(0)  # Qt and VTK in one process may crash when the interpreter ends


if __name__ == "__main__":
    main()

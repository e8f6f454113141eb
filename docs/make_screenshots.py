"""Use the module as a new user does, and take a picture after every step.

    make screenshots          # or: python docs/make_screenshots.py

The steps of the README's tutorial, with nothing scripted but the clicks: the real panel, ONNX
Runtime installed by the real pip from the package index, a real worker, Slicer's real scene and
views. Slicer itself is not there: see window_picture.py for what draws what. Writes the pictures of
docs/ and the thumbnail of the sample.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
sys.path[:0] = [str(ROOT / one) for one in ("", "docs", "Testing/ui", "Testing/mrml")]

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["QT_SCALE_FACTOR"] = "1.5"  # window_picture.SCALE

import numpy as np  # noqa: E402
import slicer  # noqa: E402
import slicer.util  # noqa: E402
from PIL import Image, ImageOps  # noqa: E402
from pythonqt.binding import QtWidgets  # noqa: E402
from slicer_host import desktop as host  # noqa: E402
from window_picture import Views, framed, note, save, scaled, window  # noqa: E402

PANEL = (440, 1120)  # pixels: the panel, if it needs no more
MARGINS = 20  # of the window around it
MODULES = ROOT / "Testing/ui/slicer_host/modules"
SAMPLE = "GDLA abdominal CT"
THUMBNAIL = ROOT / "GDLASegmenter/Resources/Icons/GDLAAbdominalCT.png"
THUMBNAIL_SIZE = (280, 260)

# In mm from the middle of the sample: where the three slices are, and the patient.
SLICES, PATIENT = np.array((-6.0, -20.0, 0.0)), np.array((0.0, -20.0, 0.0))


class Tutorial:
    """A new user at Slicer's desktop. Every step takes its picture."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.desktop = host.start(folder)
        self.sampleData = self.desktop.load(MODULES / "SampleData.py")
        self.module = self.desktop.load(ROOT / "GDLASegmenter/GDLASegmenter.py")
        # In a new Slicer there is no ONNX Runtime; where this runs there may be one.
        from GDLASegmenterLib import EnvironmentPart

        EnvironmentPart.installed_builds = list
        self.desktop.application.startupCompleted.emit()
        self.desktop.window.show()
        self.views = Views()
        self.pictures: dict[Path, Image.Image] = {}  # written at the end: it takes its time

    def open(self) -> None:
        self.widget = self.desktop.show(self.module)
        self.ui = self.widget.panel.ui
        needed = QtWidgets.QWidget.minimumSizeHint(self.widget.parent).width()
        self.width = max(PANEL[0], needed)
        self.desktop.window.resize(self.width + MARGINS, PANEL[1] + MARGINS)
        self.desktop.process_events()
        self.picture("tutorial-1-open.png")

    def load_sample(self) -> None:
        panel = self.desktop.show(self.sampleData)
        self.desktop.click(slicer.util.findChild(panel.parent, f"{SAMPLE}PushButton"))
        self.desktop.show(self.module)
        volume = slicer.util.getNode(SAMPLE)
        bounds = np.zeros(6)
        volume.GetRASBounds(bounds)
        middle = bounds.reshape(3, 2).mean(axis=1)
        self.views.show(volume, middle + SLICES, middle + PATIENT)
        self.picture("tutorial-2-sample.png")
        self.pictures[THUMBNAIL] = ImageOps.fit(self.views.axial(), THUMBNAIL_SIZE)

    def segment(self) -> None:
        self.desktop.answer(self.agree)
        self.desktop.click(self.ui.segmentButton)
        self.desktop.wait_until(self.is_half_done, 300)
        self.picture("tutorial-4-running.png")
        self.desktop.wait_until(lambda: self.ui.segmentButton.enabled, 60)
        print(
            f"ONNX Runtime in {self.started - self.agreed:.0f} s, then {self.ui.statusLabel.text}"
        )

    def agree(self, dialog: QtWidgets.QDialog) -> None:
        """Say yes to the installation of ONNX Runtime."""
        self.picture("tutorial-3-install.png", grab(dialog))
        self.agreed = time.monotonic()
        box = QtWidgets.QMessageBox
        QtWidgets.QAbstractButton.click(box.button(dialog, box.StandardButton.Ok))

    def is_half_done(self) -> bool:
        run = self.widget.panel.logic.run
        if run is None:
            assert self.ui.cancelButton.enabled, [str(one) for one in self.desktop.problems]
            self.started = time.monotonic()
            return False
        assert not run.isOver, "it was too fast to be seen"
        return run.phase == "segmenting" and run.done >= run.total / 2

    def look(self) -> None:
        self.desktop.click(self.ui.show3DButton)
        self.views.look((-0.3, 1.0, 0.9), closer=1.5)
        self.picture("tutorial-5-result.png")

    def edit(self) -> None:
        self.desktop.click(self.ui.editButton)
        editor = slicer.modules.SegmentEditorWidget.editor
        lines = [
            "This module is Slicer's own and is not drawn here.",
            "It was opened with",
            "",
            f"Segmentation:    {editor.segmentationNode().GetName()}",
            f"Source volume:  {editor.sourceVolumeNode().GetName()}",
        ]
        self.keep("tutorial-6-edit.png", note("Segment Editor", lines, self.width))

    def review(self) -> None:
        """Go to the most doubtful slice, mark the one before as reviewed, and preview it."""
        self.desktop.show(self.module)
        for section in ("inputs", "extent"):
            self.desktop.click(getattr(self.ui, f"{section}Section"))
        self.desktop.click(self.ui.nextDoubtfulButton)
        self.widget.panel.onTick()
        self.desktop.click(self.ui.reviewedCheckBox)
        self.widget.panel.onTick()
        self.desktop.click(self.ui.nextDoubtfulButton)
        self.desktop.click(self.ui.livePreviewCheckBox)
        self.desktop.wait_until(lambda: self.ui.keepSliceButton.enabled, 60)
        self.picture("tutorial-7-review.png")
        self.desktop.click(self.ui.livePreviewCheckBox)
        for section in ("inputs", "extent"):
            self.desktop.click(getattr(self.ui, f"{section}Section"))

    def unfold(self) -> None:
        """Open the sections that are closed at first."""
        for section in ("inputs", "extent", "result", "review", "advanced"):
            self.desktop.click(getattr(self.ui, f"{section}Section"))
        path = self.desktop.picture(
            self.widget.parent, self.folder / "panel.png", self.width + MARGINS
        )
        self.pictures[DOCS / "panel-advanced.png"] = framed(Image.open(path).convert("RGB"))

    def picture(self, name: str, dialog: Image.Image | None = None) -> None:
        """Take a picture of panel and views without letting anything go on meanwhile."""
        self.keep(name, self.panel(), dialog)

    def panel(self) -> Image.Image:
        image = grab(self.widget.parent)
        (width,) = scaled(self.width)
        assert image.width == width, (
            f"the panel is {image.width} wide, not {width}: it would scroll"
        )
        return image

    def keep(self, name: str, panel: Image.Image, dialog: Image.Image | None = None) -> None:
        self.pictures[DOCS / name] = window(panel, self.views.picture(), dialog)

    def quit(self) -> None:
        self.desktop.quit()
        problems = [str(problem) for problem in self.desktop.problems]
        assert not problems, problems


def grab(widget: QtWidgets.QWidget) -> Image.Image:
    """Return what a widget looks like at this moment."""
    image = QtWidgets.QWidget.grab(widget).toImage()
    image = image.convertToFormat(image.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), -1)
    return Image.fromarray(rows[:, : 3 * image.width()].reshape(image.height(), -1, 3).copy())


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        tutorial = Tutorial(Path(folder))
        tutorial.open()
        tutorial.load_sample()
        tutorial.segment()
        tutorial.look()
        tutorial.edit()
        tutorial.review()
        tutorial.unfold()
        tutorial.quit()
        for path, image in tutorial.pictures.items():
            save(image, path)
    from slicer_host import application

    application.leave()
    sys.stdout.flush()
    os._exit(0)  # Qt and VTK in one process may crash when the interpreter ends


if __name__ == "__main__":
    main()

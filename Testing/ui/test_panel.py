"""The panel as a clinician uses it, with a real worker process and the demonstration model."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import qt
import slicer
from package_index import serving
from panels import add_ct, segment_voxels
from runtime_wheels import runtime_wheel

from GDLACore.installation import this_system

# A wheel with nothing in it, whose package is the ONNX Runtime that is there anyway.
BORROWED = """\
import importlib.machinery, pathlib, sys
_here = pathlib.Path(__file__).resolve().parents[1]
_others = [path for path in sys.path if pathlib.Path(path or ".").resolve() != _here]
_real = importlib.machinery.PathFinder.find_spec("onnxruntime", _others)
__path__ = list(_real.submodule_search_locations)
exec(compile(pathlib.Path(_real.origin).read_text(encoding="utf-8"), _real.origin, "exec"))
"""


@pytest.fixture
def sample(desktop, module):
    """The sample CT in the scene."""
    from GDLASegmenterLib.SampleCT import loadSampleCT

    return loadSampleCT()[0]


@pytest.fixture
def panel(desktop, module, sample):
    return desktop.show(module).panel


@pytest.fixture
def tall(sample):
    """The sample again and again, so that what is to come before a run's end does."""
    array = slicer.util.arrayFromVolume(sample)[:, ::2, ::2]
    slicer.util.updateVolumeFromArray(sample, np.resize(array, (100, *array.shape[1:])))


def finish(desktop, panel):
    desktop.wait_until(lambda: not panel.controller.isBusy)
    panel.onTick()


def begin(desktop, panel):
    """Click Segment, and wait until the first slices are there."""
    desktop.click(panel.ui.segmentButton)
    desktop.wait_until(lambda: panel.parameters.result is not None)


def is_running(pid):
    """Return whether there is such a process that is not just waiting to be forgotten."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def process_of(panel):
    return panel.worker._client.pid


needs_proc = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at Linux's processes")


def test_from_the_sample_to_a_result_that_segment_editor_shows(desktop, module, sample, tmp_path):
    widget = desktop.show(module)
    panel, ui = widget.panel, widget.panel.ui
    assert ui.inputVolumeSelector.currentNode() is sample
    assert ui.modalityComboBox.currentText == "CT"
    assert ui.segmentButton.enabled and not ui.cancelButton.enabled
    desktop.click(ui.segmentButton)
    assert not ui.segmentButton.enabled and ui.cancelButton.enabled
    seen = set()
    while panel.controller.isBusy:
        desktop.wait_until(lambda: ui.statusLabel.text not in seen or not panel.controller.isBusy)
        seen.add(ui.statusLabel.text)
    assert any(" slices, " in text and "CPU" in text for text in seen), seen
    panel.onTick()
    node = panel.parameters.result
    assert "structures" in ui.statusLabel.text and "CPU" in ui.statusLabel.text
    assert node.GetSegmentation().GetNumberOfSegments() == 9
    image = node.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    assert np.prod(image.GetDimensions()) > 0
    desktop.picture(widget.parent, tmp_path / "panel.png")
    desktop.click(ui.editButton)
    editor = slicer.modules.SegmentEditorWidget.editor
    assert editor.segmentationNode() is node
    assert editor.sourceVolumeNode() is sample


def test_cancel_keeps_what_is_there_and_the_next_run_goes_on(desktop, tall, panel):
    panel.ui.batchSizeSpinBox.value = 1
    begin(desktop, panel)
    desktop.click(panel.ui.cancelButton)
    finish(desktop, panel)
    assert "are kept" in panel.ui.statusLabel.text
    partly = panel.parameters.result
    panel.parameters.segmentation = partly
    before = segment_voxels(partly)
    panel.parameters.part = type(panel.parameters.part).SLICE_RANGE
    panel.parameters.firstSlice, panel.parameters.lastSlice = 80, 99
    desktop.click(panel.ui.segmentButton)
    finish(desktop, panel)
    assert "structures" in panel.ui.statusLabel.text
    assert panel.parameters.result is partly and segment_voxels(partly) > before


@needs_proc
def test_a_worker_that_is_killed_is_told_once_and_replaced(desktop, tall, panel):
    panel.ui.batchSizeSpinBox.value = 1
    begin(desktop, panel)
    os.kill(process_of(panel), signal.SIGKILL)
    desktop.answer(qt.QMessageBox.Ok)
    finish(desktop, panel)
    (message,) = desktop.shown
    assert message.text.startswith("The background process ended")
    panel.parameters.part = type(panel.parameters.part).SLICE_RANGE
    panel.parameters.firstSlice = panel.parameters.lastSlice = 3
    desktop.click(panel.ui.segmentButton)
    finish(desktop, panel)
    assert "structures" in panel.ui.statusLabel.text and len(desktop.shown) == 1


@needs_proc
@pytest.mark.parametrize("how", ["quit", "reload"])
def test_no_process_stays_when_slicer_ends_or_the_module_is_reloaded(desktop, module, panel, how):
    panel.ui.batchSizeSpinBox.value = 1
    begin(desktop, panel)
    pid = process_of(panel)
    files = Path(slicer.app.temporaryPath)
    assert is_running(pid) and list(files.glob("GDLA*"))
    if how == "quit":
        desktop.quit()
    else:
        assert desktop.reload(module).panel.ui.segmentButton.enabled
    desktop.wait_until(lambda: not is_running(pid))
    assert list(files.glob("GDLA*")) == []


def test_where_no_process_can_be_started_slicer_does_it_itself_and_says_so(
    desktop, module, sample, tmp_path, monkeypatch
):
    from GDLASegmenterLib import WorkerHost

    missing = tmp_path / "bin" / "PythonSlicer"
    monkeypatch.setattr(WorkerHost, "pythonSlicer", lambda: str(missing))
    panel = desktop.show(module).panel
    panel.parameters.part = type(panel.parameters.part).SLICE_RANGE
    panel.parameters.firstSlice = panel.parameters.lastSlice = 3
    desktop.click(panel.ui.segmentButton)
    finish(desktop, panel)
    status, warning = panel.ui.statusLabel.text.splitlines()
    assert "structures" in status
    assert warning.startswith(f"The background process could not be started with {missing}")
    assert warning.endswith("Segmenting inside Slicer instead.")
    desktop.click(panel.ui.segmentButton)
    finish(desktop, panel)
    assert "instead" not in panel.ui.statusLabel.text  # said once
    assert warning in panel.ui.logText.plainText


def test_the_first_click_on_a_computer_without_anything(desktop, module, sample, monkeypatch):
    from GDLASegmenterLib import EnvironmentPart

    monkeypatch.setattr(EnvironmentPart, "installed_builds", lambda: ())
    monkeypatch.setattr(EnvironmentPart, "detect_system", this_system)
    for name in [name for name in os.environ if name.startswith("PIP_") or "proxy" in name.lower()]:
        monkeypatch.delenv(name)
    with serving(dict([runtime_wheel(program=BORROWED)])) as index:
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        panel = desktop.show(module).panel
        assert panel.worker._client is None  # nothing is started before it can work
        desktop.answer(qt.QMessageBox.Ok)
        desktop.click(panel.ui.segmentButton)
        finish(desktop, panel)
    assert "structures" in panel.ui.statusLabel.text
    packages = panel.environment.packages()
    assert packages is not None and str(packages) not in sys.path


def test_a_volume_that_does_not_suit_is_refused_with_its_name(desktop, module):
    panel = desktop.show(module).panel
    volume = add_ct("flat")
    image = volume.GetImageData()
    volume.SetAndObserveImageData(None)
    desktop.answer(qt.QMessageBox.Ok)
    desktop.click(panel.ui.segmentButton)
    finish(desktop, panel)
    assert desktop.shown[0].text.startswith("flat holds no gray values or colors.")
    volume.SetAndObserveImageData(image)

"""Installing what runs the networks, by the panel: asked for once, real pip, all or nothing."""

from __future__ import annotations

import os

import pytest
import qt
import slicer
from package_index import endless_file, serving, status
from panels import add_ct, state_of
from runtime_wheels import runtime_wheel

from GDLACore.installation import Absent, Ready, this_system

SETTING = "GDLASegmenter/Device"


@pytest.fixture
def nothing(module, monkeypatch):
    """Let the computer have no ONNX Runtime at all, and no GPU."""
    from GDLASegmenterLib import EnvironmentPart

    monkeypatch.setattr(EnvironmentPart, "installed_builds", lambda: ())
    monkeypatch.setattr(EnvironmentPart, "detect_system", this_system)


@pytest.fixture
def index(monkeypatch):
    """A package index with ONNX Runtime 1.32.0, which is the only one that pip knows of."""
    for name in [name for name in os.environ if name.startswith("PIP_") or "proxy" in name.lower()]:
        monkeypatch.delenv(name)
    with serving(dict([runtime_wheel()])) as index:
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        yield index


@pytest.fixture
def wheels(tmp_path):
    folder = tmp_path / "from IT"
    folder.mkdir()
    name, content = runtime_wheel("1.31.0")
    (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def panel(nothing, widget):
    add_ct()
    widget.panel.ui.advancedSection.collapsed = False
    return widget.panel


@pytest.fixture
def ui(panel):
    return panel.ui


@pytest.fixture
def click(desktop, panel):
    """Click, answer what is asked, and wait until nothing is being done."""

    def click(button, *answers):
        desktop.answer(*answers)
        desktop.click(button)
        desktop.wait_until(lambda: not panel.controller.isBusy)
        panel.onTick()

    return click


@pytest.fixture
def install(ui, click, wheels):
    """Install from a folder, which takes no network."""
    click(ui.installFromFolderButton, str(wheels))


def runtime(panel):
    return panel.environment._runtime


# The first click


def test_the_first_click_asks_once_installs_and_segments(
    desktop, panel, ui, worker, click, index, tmp_path
):
    assert ui.runtimeLabel.text == "ONNX Runtime: Not installed"
    assert not ui.removeRuntimeButton.enabled
    assert worker.loaded == []  # there is nothing to warm up with
    click(ui.segmentButton, qt.QMessageBox.Ok)
    (question,) = desktop.shown
    assert question.title == "Install ONNX Runtime"
    folder = tmp_path / "NA-MIC" / "GDLASegmenter" / "runtime"
    for expected in ("onnxruntime will be installed", "MB to download", "No GPU", str(folder)):
        assert expected in question.text
    assert "1 structures" in ui.statusLabel.text
    assert panel.parameters.result is not None
    state = runtime(panel).state()
    assert isinstance(state, Ready) and state.path.parent == folder
    assert panel.environment.packages() == state.path
    assert ui.runtimeLabel.text == f"ONNX Runtime: {state.text}"
    assert ui.installButton.text == "Reinstall" and ui.removeRuntimeButton.enabled
    assert "Successfully installed onnxruntime-1.32.0" in ui.logText.plainText
    click(ui.segmentButton)
    assert len(desktop.shown) == 1  # never asked again


def test_who_declines_finds_everything_as_it_was(desktop, panel, ui, worker, click, index):
    click(ui.segmentButton, qt.QMessageBox.Cancel)
    assert state_of(slicer.modules.GDLASegmenterWidget) == "idle"
    assert index.paths == [] and worker.requests == []
    assert isinstance(runtime(panel).state(), Absent) and not runtime(panel).parent.exists()
    assert ui.statusLabel.text == "" and ui.segmentButton.enabled


def test_a_failure_says_what_is_wrong_and_changes_nothing(desktop, panel, ui, worker, click, index):
    index.page = status(403)
    click(ui.segmentButton, qt.QMessageBox.Ok, qt.QMessageBox.Ok)
    message = desktop.shown[-1].text
    assert "403" in message and len(desktop.shown) == 2
    assert ui.statusLabel.text.startswith("Failed: ")
    assert isinstance(runtime(panel).state(), Absent) and worker.requests == []


def test_cancel_stops_the_installation(desktop, panel, ui, worker, index):
    index.file = endless_file
    desktop.answer(qt.QMessageBox.Ok)
    desktop.click(ui.segmentButton)
    desktop.wait_until(index.reached.is_set)
    assert ui.cancelButton.enabled and not ui.segmentButton.enabled
    desktop.click(ui.cancelButton)
    desktop.wait_until(lambda: not panel.controller.isBusy)
    assert ui.statusLabel.text == "Stopped. Nothing was changed."
    assert isinstance(runtime(panel).state(), Absent) and worker.requests == []
    assert index.left.wait(60)


@pytest.mark.parametrize(
    "what", ["the module is left", "the volume is removed", "the scene is closed"]
)
def test_what_happens_while_it_is_installed(desktop, module, panel, ui, worker, index, what):
    desktop.answer(qt.QMessageBox.Ok)
    desktop.click(ui.segmentButton)
    if what == "the module is left":
        desktop.show("SegmentEditor")
    elif what == "the scene is closed":
        desktop.close_scene()
    else:
        add_ct("another")
        slicer.mrmlScene.RemoveNode(panel.parameters.inputVolume)
    desktop.wait_until(lambda: not panel.controller.isBusy)
    panel.onTick()
    assert isinstance(runtime(panel).state(), Ready)
    desktop.show(module)
    if what == "the module is left":
        assert "1 structures" in ui.statusLabel.text
        assert ui.segmentsTable.segmentationNode() is not None
    else:
        assert worker.requests == []
        assert "Install" not in ui.statusLabel.text
    assert ui.installButton.text == "Reinstall"


def test_a_build_among_slicers_own_packages_will_do(desktop, widget):
    add_ct()
    panel = widget.panel
    desktop.click(panel.ui.segmentButton)
    desktop.wait_until(lambda: not panel.controller.isBusy)
    panel.onTick()
    assert "1 structures" in panel.ui.statusLabel.text
    assert "onnxruntime 1.30.0, which is among Slicer's packages" in panel.ui.runtimeLabel.text
    assert not panel.ui.removeRuntimeButton.enabled


# The buttons


def test_installing_from_a_folder_needs_no_network(panel, ui, install):
    assert runtime(panel).state().version == "1.31.0"
    assert ui.statusLabel.text.startswith("Installed onnxruntime 1.31.0")


def test_no_folder_chosen_is_nothing_done(desktop, panel, ui):
    desktop.answer("")
    desktop.click(ui.installFromFolderButton)
    assert not panel.controller.isBusy


def test_a_folder_without_wheels_is_refused(desktop, panel, ui, click, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    click(ui.installFromFolderButton, str(empty), qt.QMessageBox.Ok)
    assert desktop.shown[-1].text.startswith(f"There are no wheels in {empty}.")
    assert isinstance(runtime(panel).state(), Absent)


def test_reinstalling_replaces_the_build_after_the_worker_has_ended(
    desktop, panel, ui, worker, install, click, index, monkeypatch
):
    ended = []
    monkeypatch.setattr(worker, "close", lambda: ended.append(runtime(panel).state().version))
    click(ui.installButton, qt.QMessageBox.Ok)
    assert ended == ["1.31.0"]
    assert runtime(panel).state().version == "1.32.0"
    index.page = status(403)
    click(ui.installButton, qt.QMessageBox.Ok, qt.QMessageBox.Ok)
    assert runtime(panel).state().version == "1.32.0"
    assert "1.32.0" in ui.runtimeLabel.text


def test_removing_asks_first_and_ends_the_worker(desktop, panel, ui, worker, install, monkeypatch):
    ended = []
    monkeypatch.setattr(worker, "close", lambda: ended.append(runtime(panel).packages is not None))
    desktop.answer(qt.QMessageBox.Cancel)
    desktop.click(ui.removeRuntimeButton)
    assert runtime(panel).packages is not None and ended == []
    desktop.answer(qt.QMessageBox.Ok)
    desktop.click(ui.removeRuntimeButton)
    assert isinstance(runtime(panel).state(), Absent) and ended == [True]
    assert ui.runtimeLabel.text == "ONNX Runtime: Not installed"
    assert ui.installButton.text == "Install" and not ui.removeRuntimeButton.enabled


def test_a_damaged_build_can_be_removed_or_installed_again(panel, ui, install):
    (runtime(panel).packages / "onnxruntime" / "__init__.py").unlink()
    panel.environment.update()
    assert "Damaged" in ui.runtimeLabel.text
    assert ui.removeRuntimeButton.enabled and ui.installButton.text == "Reinstall"


# The device


def test_the_device_is_remembered_on_this_computer_and_not_in_the_scene(desktop, module, widget):
    box = widget.panel.ui.deviceComboBox
    assert box.currentText == "Automatic"
    box.setCurrentIndex(box.findData("cpu"))
    assert slicer.util.settingsValue(SETTING, "") == "cpu"
    desktop.close_scene()
    again = desktop.reload(module).panel
    assert again.ui.deviceComboBox.currentText == "CPU" and again.environment.device == "cpu"


def test_a_device_that_this_version_does_not_know_is_the_automatic_one(desktop, module, scripted):
    qt.QSettings().setValue(SETTING, "quantum")
    panel = desktop.show(module).panel
    assert panel.environment.device == "auto"
    assert panel.ui.deviceComboBox.currentText == "Automatic"

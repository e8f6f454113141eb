"""How checkpoints come to this computer by the panel, and leave it: always asked for first."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
import qt
import slicer
from file_server import served, whole
from model_files import CARD, official_checkpoint, onnx_file, recipe
from panels import add_ct, state_of

from GDLACore.model.catalogue import CatalogueEntry, catalogue

FILE = onnx_file()


@pytest.fixture
def server():
    with served(FILE) as server:
        yield server


@pytest.fixture
def known(module, monkeypatch):
    """Let these entries be in the catalogue too, in front."""

    def known(*entries):
        from GDLACore.model import catalogue as finding
        from GDLACore.storage import examination, listing

        found = (*entries, *catalogue())
        for place in (examination, finding, listing):
            monkeypatch.setattr(place, "catalogue", lambda: found)

    return known


@pytest.fixture
def remote(known, server):
    """A checkpoint that is in the catalogue and on the server."""
    sha256 = hashlib.sha256(FILE).hexdigest()
    known(CatalogueEntry(CARD, "abdomen.onnx", sha256, server.url))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "NA-MIC" / "GDLASegmenter" / "models"


@pytest.fixture
def panel(worker, widget, folder):
    add_ct()
    widget.panel.ui.advancedSection.collapsed = False
    assert widget.panel.environment.modelFolder == folder
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
def select(ui):
    def select(title):
        index = ui.modelComboBox.findText(title)
        assert index >= 0, [ui.modelComboBox.itemText(n) for n in range(ui.modelComboBox.count)]
        ui.modelComboBox.setCurrentIndex(index)

    return select


def files(folder):
    visible = folder.iterdir() if folder.exists() else ()
    return sorted(path.name for path in visible if not path.name.startswith("."))


MISSING = f"{CARD.title} (not on this computer)"


# Fetching


def test_a_checkpoint_is_fetched_on_the_click_that_needs_it(
    desktop, remote, ui, worker, click, select, folder, server
):
    select(MISSING)
    click(ui.segmentButton, qt.QMessageBox.Ok)
    (question,) = desktop.shown
    assert question.title == "Download checkpoint"
    for expected in (MISSING.partition(" (")[0], server.url, "License: ", "Intended use: "):
        assert expected in question.text
    assert worker.requests[-1][1].model == str(folder / "abdomen.onnx")
    assert "structures" in ui.statusLabel.text
    assert ui.modelComboBox.currentText == CARD.title
    assert ui.modelsLabel.text == f"Checkpoints: 0 MB in {folder}"
    click(ui.segmentButton)
    assert len(desktop.shown) == 1 and len(server.requests) == 1


def test_who_does_not_want_it_gets_nothing(remote, ui, worker, click, select, folder, server):
    select(MISSING)
    click(ui.segmentButton, qt.QMessageBox.Cancel)
    assert state_of(slicer.modules.GDLASegmenterWidget) == "idle"
    assert server.requests == [] and worker.requests == [] and files(folder) == []


def test_a_checkpoint_that_nobody_offers_is_said_where_to_get(
    desktop, ui, worker, click, select, folder
):
    select("Eight abdominal organs in CT (Synapse) (not on this computer)")
    click(ui.segmentButton, qt.QMessageBox.Ok)
    assert desktop.shown[0].text == (
        "No address is known from which synapse could be downloaded. "
        "Get it from https://github.com/xmindflow/gdla and import the file."
    )
    assert worker.requests == [] and ui.segmentButton.enabled


def test_another_file_than_expected_is_refused_and_not_kept(
    desktop, remote, ui, worker, click, select, folder, server
):
    server.body = bytes(reversed(FILE))
    select(MISSING)
    click(ui.segmentButton, qt.QMessageBox.Ok, qt.QMessageBox.Ok)
    assert "does not give the file that was published" in desktop.shown[-1].text
    assert files(folder) == [] and worker.requests == []
    assert ui.modelComboBox.currentText == MISSING


def test_cancel_stops_the_download(desktop, remote, panel, ui, worker, select, server):
    server.script.append(whole(hang_after=len(FILE) // 2))
    select(MISSING)
    desktop.answer(qt.QMessageBox.Ok)
    desktop.click(ui.segmentButton)
    desktop.wait_until(lambda: panel.controller.fraction)
    assert state_of(slicer.modules.GDLASegmenterWidget) == "running"
    assert ui.statusLabel.text.startswith(f"Downloading {CARD.title} 0.")
    desktop.click(ui.cancelButton)
    desktop.wait_until(lambda: not panel.controller.isBusy)
    assert ui.statusLabel.text == "Stopped. Nothing was changed."
    assert worker.requests == []


# Importing


def test_an_onnx_file_is_shown_imported_and_chosen(desktop, ui, worker, click, folder, tmp_path):
    path = tmp_path / "from a colleague.onnx"
    path.write_bytes(FILE)
    ui.modalityComboBox.currentText = "MR"
    click(ui.importModelButton, str(path), qt.QMessageBox.Ok)
    assert desktop.shown[-1].text == f"4 classes, 1 channel: fits {CARD.title}."
    assert ui.statusLabel.text == f"Imported {CARD.title}."
    assert (ui.modalityComboBox.currentText, ui.modelComboBox.currentText) == ("CT", CARD.title)
    assert files(folder) == ["abdomen.onnx"] and path.read_bytes() == FILE
    click(ui.segmentButton)
    assert worker.requests[-1][1].model == str(folder / "abdomen.onnx")


@pytest.fixture
def checkpoint(known, tmp_path):
    """A checkpoint of the authors, which fits two models of the catalogue."""
    other = replace(CARD, name="pelvis", title="Organs of the pelvis", modality="MR")
    known(CatalogueEntry(CARD), CatalogueEntry(other))
    path = tmp_path / "best_model.ckpt"
    path.write_bytes(official_checkpoint(recipe()))
    return path


def pick(title):
    """Answer a question with a list: choose the line with this title, or cancel."""

    def answer(dialog):
        if title is None:
            dialog.reject()
            return
        menu = dialog.findChild(qt.QComboBox)
        menu.setCurrentIndex(menu.findText(title))
        dialog.accept()

    return answer


def test_a_checkpoint_that_fits_several_models_is_what_the_user_says(
    desktop, ui, click, checkpoint, folder
):
    answers = (str(checkpoint), pick("Organs of the pelvis"), qt.QMessageBox.Ok)
    click(ui.importModelButton, *answers)
    assert desktop.shown[-1].text.startswith("4 classes, 1 channel: fits Organs of the pelvis.")
    assert ui.modelComboBox.currentText == "Organs of the pelvis"
    assert ui.modalityComboBox.currentText == "MR"
    assert files(folder) == ["pelvis.onnx"]


@pytest.mark.parametrize(
    "answers", [("",), (None,), ("Organs of the pelvis", qt.QMessageBox.Cancel)]
)
def test_an_import_can_be_given_up_at_every_question(ui, click, checkpoint, folder, answers):
    if answers == ("",):
        click(ui.importModelButton, "")
    else:
        click(ui.importModelButton, str(checkpoint), pick(answers[0]), *answers[1:])
    assert files(folder) == [] and ui.segmentButton.enabled
    assert ui.statusLabel.text == ""


def test_a_file_that_is_no_checkpoint_is_refused(desktop, ui, click, folder, tmp_path):
    path = tmp_path / "report.onnx"
    path.write_text("Findings: none.")
    click(ui.importModelButton, str(path), qt.QMessageBox.Ok)
    message = desktop.shown[-1].text
    assert str(path) in message and len(message.split(". ")) >= 2  # what is wrong, and what to do
    assert files(folder) == [] and "Failed: " in ui.statusLabel.text


# Removing


@pytest.fixture
def imported(ui, click, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(FILE)
    click(ui.importModelButton, str(path), qt.QMessageBox.Ok)


def test_a_checkpoint_is_removed_after_asking(desktop, imported, ui, folder):
    assert ui.removeModelButton.enabled
    desktop.answer(qt.QMessageBox.Cancel)
    desktop.click(ui.removeModelButton)
    assert files(folder) == ["abdomen.onnx"]
    desktop.answer(qt.QMessageBox.Ok)
    desktop.click(ui.removeModelButton)
    assert str(folder / "abdomen.onnx") in desktop.shown[-1].text
    assert files(folder) == []
    assert ui.modelComboBox.findText(CARD.title) < 0
    assert not ui.removeModelButton.enabled  # the demonstration ships with the program


def test_what_cannot_be_removed_is_said(desktop, imported, ui, folder, monkeypatch):
    from GDLACore.errors import OutputError
    from GDLACore.storage import removal

    def refuse(path):
        raise OutputError(f"{path} is in use and cannot be removed.", "Wait.")

    monkeypatch.setattr(removal, "_remove", refuse)
    desktop.answer(qt.QMessageBox.Ok, qt.QMessageBox.Ok)
    desktop.click(ui.removeModelButton)
    assert desktop.shown[-1].text.endswith("is in use and cannot be removed. Wait.")
    assert ui.modelComboBox.currentText == CARD.title


def test_a_damaged_checkpoint_is_marked_refused_and_can_be_removed(
    desktop, remote, ui, worker, click, select, panel, folder
):
    folder.mkdir(parents=True)
    (folder / "abdomen.onnx").write_bytes(FILE[:100])
    panel.inputs.refresh()
    select(f"{CARD.title} (damaged)")
    click(ui.segmentButton, qt.QMessageBox.Ok)
    assert "Remove it under Advanced" in desktop.shown[-1].text and worker.requests == []
    click(ui.removeModelButton, qt.QMessageBox.Ok)
    assert ui.modelComboBox.currentText == MISSING


def test_the_folder_of_the_checkpoints_is_shown(desktop, ui, folder):
    desktop.click(ui.openModelsButton)
    assert desktop.opened == [f"file://{folder}"] and folder.is_dir()


def test_a_folder_that_cannot_be_made_is_said(desktop, ui, folder):
    folder.parent.parent.mkdir(exist_ok=True)
    folder.parent.write_text("a file")
    desktop.answer(qt.QMessageBox.Ok)
    desktop.click(ui.openModelsButton)
    assert desktop.shown[0].text.startswith(f"The model folder {folder} cannot be made")
    folder.parent.unlink()

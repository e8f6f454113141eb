"""The host of modules: what Slicer does with a module from its loading to the end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import qt
import slicer
import slicer.util

TOY = Path(__file__).parent / "data" / "Toy" / "Toy.py"


def add_volume(name="CT"):
    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)


@pytest.fixture
def load_text(desktop, tmp_path):
    """Load a module from a text."""

    def load(text, name="Written"):
        path = tmp_path / f"{name}.py"
        path.write_text(
            "from slicer.ScriptedLoadableModule import *\nimport qt, slicer\n"
            f"class {name}(ScriptedLoadableModule): pass\n" + text,
            encoding="utf-8",
        )
        return desktop.load(path)

    return load


def test_a_module_is_loaded_shown_and_left_in_slicers_order(desktop, toy):
    panel = desktop.show(toy)
    assert panel.calls == ["setup", "enter"]
    desktop.show("SegmentEditor")
    assert panel.calls == ["setup", "enter", "exit"]
    assert desktop.show(toy) is panel
    assert panel.calls == ["setup", "enter", "exit", "enter"]


def test_a_loaded_module_is_where_slicer_puts_it(desktop, toy):
    panel = desktop.show(toy)
    assert slicer.modules.toy is toy
    assert slicer.modules.toy.path == str(TOY)
    assert slicer.modules.ToyInstance.parent is toy
    assert slicer.modules.ToyWidget is panel
    assert slicer.moduleNames.Toy == "Toy"
    assert slicer.util.getModuleWidget("Toy") is panel
    assert slicer.util.getModuleLogic("Toy") is panel.logic
    assert slicer.util.selectedModule() == "Toy"
    assert (toy.title, toy.categories) == ("Toy", ("Testing",))


def test_the_panel_works_from_the_widget_to_the_scene_and_back(desktop, toy):
    panel, volume = desktop.show(toy), add_volume()
    panel.ui.inputSelector.setCurrentNode(volume)
    panel.ui.modalityBox.currentText = "CT"
    node = panel.logic.getParameterNode()
    assert node.GetNodeReference("inputVolume") is volume
    assert node.GetParameter("modality") == "CT"
    panel.parameters.threshold = 12.5
    assert panel.ui.thresholdSlider.value == 12.5
    desktop.click(panel.ui.applyButton)
    assert panel.ui.resultLabel.text == "CT above 12.5"


def test_a_user_error_is_shown_once(desktop, toy, problems):
    panel = desktop.show(toy)
    desktop.answer(qt.QMessageBox.Ok)
    desktop.click(panel.ui.applyButton)
    assert [shown.text for shown in desktop.shown] == [
        "The toy is broken.\n\nSelect a volume first."
    ]
    # tryWithErrorDisplay raises again, and Slicer prints that.
    assert isinstance(problems.pop().error, ValueError)


def test_a_grey_or_hidden_button_cannot_be_clicked(desktop, toy):
    panel = desktop.show(toy)
    panel.ui.applyButton.enabled = False
    with pytest.raises(AssertionError, match="applyButton is grey"):
        desktop.click(panel.ui.applyButton)
    panel.ui.applyButton.visible = False
    with pytest.raises(AssertionError, match="applyButton is not to be seen"):
        desktop.click(panel.ui.applyButton)


def test_closing_the_scene_empties_the_panel(desktop, toy):
    panel = desktop.show(toy)
    panel.ui.inputSelector.setCurrentNode(add_volume())
    desktop.close_scene()
    assert panel.parameters.inputVolume is None
    assert panel.ui.inputSelector.currentNode() is None
    panel.ui.inputSelector.setCurrentNode(add_volume())
    assert panel.parameters.inputVolume.GetName() == "CT"


def test_deleting_the_selected_node_empties_the_selector(desktop, toy):
    panel, volume = desktop.show(toy), add_volume()
    panel.ui.inputSelector.setCurrentNode(volume)
    slicer.mrmlScene.RemoveNode(volume)
    assert panel.parameters.inputVolume is None


def test_reloading_makes_a_new_panel_from_a_new_file_and_cleans_the_old_one_up(desktop, tmp_path):
    folder = tmp_path / "Toy"
    (folder / "Resources" / "UI").mkdir(parents=True)
    path = folder / "Toy.py"
    ui = TOY.parent / "Resources" / "UI" / "Toy.ui"
    (folder / "Resources" / "UI" / "Toy.ui").write_text(ui.read_text())
    path.write_text(TOY.read_text())
    module = desktop.load(path)
    old = desktop.show(module)
    path.write_text(TOY.read_text().replace("above", "beyond"))
    new = desktop.reload(module)
    assert new is not old
    assert old.calls == ["setup", "enter", "cleanup"]
    assert new.calls == ["setup"]  # Slicer does not enter it: the module has to expect that
    assert new.ui.applyButton.isVisible()
    new.connectParameters()
    new.ui.inputSelector.setCurrentNode(add_volume())
    desktop.click(new.ui.applyButton)
    assert new.ui.resultLabel.text == "CT beyond 40.0"


def test_two_panels_of_one_module_share_their_parameters(desktop, toy):
    first = desktop.show(toy)
    second = desktop.second_panel(toy)
    second.enter()
    second.ui.modalityBox.currentText = "CT"
    assert first.parameters.modality == "CT"
    assert first.ui.modalityBox.currentText == "CT"
    second.exit()


def test_quitting_exits_then_cleans_up_then_tells_qt(desktop, toy):
    panel = desktop.show(toy)
    slicer.app.connect("aboutToQuit()", lambda: panel.calls.append("aboutToQuit"))
    desktop.quit()
    assert panel.calls == ["setup", "enter", "exit", "cleanup", "aboutToQuit"]
    assert not hasattr(slicer.modules, "toy")


@pytest.mark.parametrize("method", ["setup", "enter", "exit", "cleanup"])
def test_an_exception_in_a_panels_method_is_a_problem(desktop, load_text, problems, method):
    module = load_text(
        "class WrittenWidget(ScriptedLoadableModuleWidget):\n"
        f"    def {method}(self): raise RuntimeError('{method}')\n"
    )
    desktop.show(module)
    desktop.quit()
    (problem,) = problems
    assert str(problem.error) == method
    problems.clear()


def test_without_a_parent_setup_comes_before_init_is_done(desktop):
    from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget

    class EarlyWidget(ScriptedLoadableModuleWidget):
        def __init__(self, parent=None):
            super().__init__(parent)
            self.ready = True

        def setup(self):
            self.ready  # noqa: B018

    with pytest.raises(AttributeError, match="ready"):
        EarlyWidget()
    EarlyWidget(slicer.qMRMLWidget())


def test_a_self_test_runs_every_method_with_test_in_its_name(load_text):
    load_text(
        "class WrittenTest(ScriptedLoadableModuleTest):\n"
        "    ran = []\n"
        "    def setUp(self): slicer.mrmlScene.Clear(0)\n"
        "    def test_one(self): self.delayDisplay('one'); self.ran.append(1)\n"
        "    def test_two(self): self.ran.append(2)\n"
    )
    slicer.selfTests["Written"]()
    assert sys.modules["Written"].WrittenTest.ran == [1, 2]


def test_one_parameter_node_for_the_scene_unless_the_logic_wants_more(desktop, toy):
    logic = desktop.show(toy).logic
    assert logic.getParameterNode() is logic.getParameterNode()
    node = logic.getParameterNode()
    assert node.GetAttribute("ModuleName") == "Toy"
    logic.isSingletonParameterNode = False
    slicer.mrmlScene.AddNode(logic.createParameterNode())
    assert len(logic.getAllParameterNodes()) == 2


def test_the_application_has_what_its_headers_have_and_no_more(desktop):
    assert slicer.app.mrmlScene() is slicer.mrmlScene
    assert slicer.app.majorVersion == 5
    assert slicer.app.layoutManager() is None
    with pytest.raises(AttributeError, match="no attribute named 'mainWindow'"):
        slicer.app.mainWindow()
    with pytest.raises(NotImplementedError):
        slicer.app.dicomDatabase()
    with pytest.raises(TypeError):
        slicer.app.majorVersion()


def test_numpys_functions_are_in_slicer_util_alone(desktop):
    assert slicer.util.arrayFromVolume
    with pytest.raises(AttributeError):
        slicer.arrayFromVolume  # noqa: B018


def test_waiting_ends_with_the_condition_or_with_the_time(desktop):
    done = []
    qt.QTimer.singleShot(5, lambda: done.append(True))
    desktop.wait_until(lambda: done)
    with pytest.raises(AssertionError, match="not within"):
        desktop.wait_until(lambda: False, seconds=0.05)


def test_a_picture_shows_the_panel_with_its_texts(desktop, toy, tmp_path):
    panel = desktop.show(toy)
    path = desktop.picture(panel.parent, tmp_path / "panel.png", width=420)
    image = qt.QImage(str(path))
    assert 300 < image.width() <= 420
    assert image.height() > 150
    button = panel.ui.applyButton
    middle = button.mapTo(panel.parent, button.rect.center())
    across = [image.pixel(x, middle.y()) for x in range(middle.x() - 20, middle.x() + 20)]
    assert len(set(across)) > 3, "the text of the button is not drawn: are there fonts?"


def test_texts_are_translated_in_the_context_of_their_file(desktop, toy):
    desktop.translate(lambda context, text: f"{context}: {text}")
    panel = desktop.show(toy)
    panel.ui.inputSelector.setCurrentNode(add_volume())
    desktop.click(panel.ui.applyButton)
    assert panel.ui.resultLabel.text == "Toy: CT above 40.0"

"""The widgets of CTK and Slicer over the real scene, but for the node selector."""

from __future__ import annotations

import ctk
import pytest
import qt
import slicer


@pytest.fixture
def scene(desktop):
    return slicer.mrmlScene


def add_volume(name="CT", kind="vtkMRMLScalarVolumeNode"):
    return slicer.mrmlScene.AddNewNodeByClass(kind, name)


# Segments


@pytest.fixture
def segmentation(scene):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "organs")
    node.CreateDefaultDisplayNodes()
    for name in ("liver", "spleen"):
        node.GetSegmentation().AddEmptySegment(name, name, (0.5, 0.2, 0.1))
    return node


def test_the_table_follows_the_segmentation(segmentation):
    table = slicer.qMRMLSegmentsTableView()
    table.setSegmentationNode(segmentation)
    assert table.displayedSegmentIDs() == ("liver", "spleen")
    segmentation.GetSegmentation().AddEmptySegment("aorta")
    segmentation.GetSegmentation().RemoveSegment("liver")
    segmentation.GetSegmentation().GetSegment("spleen").SetName("Milz")
    assert table.segmentCount == 2
    assert table.tableWidget().item(0, 3).text() == "Milz"
    table.setSegmentationNode(None)
    assert table.segmentCount == 0


def test_the_table_changes_what_the_user_changes(segmentation):
    table = slicer.qMRMLSegmentsTableView()
    table.setSegmentationNode(segmentation)
    view = table.tableWidget()
    view.cellClicked(0, 0)
    assert segmentation.GetDisplayNode().GetSegmentVisibility("liver") is False
    view.item(1, 3).setText("Spleen")
    assert segmentation.GetSegmentation().GetSegment("spleen").GetName() == "Spleen"


def test_selected_segments_are_told(segmentation):
    table, selections = slicer.qMRMLSegmentsTableView(), []
    table.setSegmentationNode(segmentation)
    table.connect(
        "selectionChanged(QItemSelection,QItemSelection)",
        lambda: selections.append(table.selectedSegmentIDs()),
    )
    table.setSelectedSegmentIDs(["spleen"])
    assert selections[-1] == ("spleen",)
    segmentation.GetSegmentation().RemoveSegment("liver")
    assert table.selectedSegmentIDs() == ("spleen",)


def test_show_3d_is_grey_without_segments(scene):
    button = slicer.qMRMLSegmentationShow3DButton()
    assert not button.enabled
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    button.setSegmentationNode(node)
    assert not button.enabled
    node.GetSegmentation().AddEmptySegment("liver")
    assert button.enabled
    button.setSegmentationNode(None)
    assert not button.enabled


def test_show_3d_makes_and_removes_surfaces(segmentation):
    button = slicer.qMRMLSegmentationShow3DButton()
    button.setSegmentationNode(segmentation)
    button.click()
    assert segmentation.GetSegmentation().ContainsRepresentation("Closed surface")
    assert button.checked
    button.click()
    assert not segmentation.GetSegmentation().ContainsRepresentation("Closed surface")


def test_show_3d_takes_a_segmentation_alone(scene):
    with pytest.raises(ValueError, match="setSegmentationNode"):
        slicer.qMRMLSegmentationShow3DButton().setSegmentationNode(add_volume())


def test_the_segment_editor_gets_nodes_only_after_it_was_entered(desktop, segmentation, problems):
    volume = add_volume()
    editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
    with pytest.raises(RuntimeError, match="enter it first"):
        editor.setSegmentationNode(segmentation)
    slicer.util.selectModule("SegmentEditor")
    editor.setSegmentationNode(segmentation)
    editor.setSourceVolumeNode(volume)
    node = editor.mrmlSegmentEditorNode()
    assert node.GetSegmentationNode() is segmentation
    assert node.GetSourceVolumeNode() is volume


# CTK


def test_a_collapsible_button_hides_its_contents(desktop):
    button, states = ctk.ctkCollapsibleButton(), []
    button.text = "Advanced"
    button.setLayout(qt.QVBoxLayout())
    inside, hidden = qt.QLabel("inside"), qt.QLabel("hidden by the module")
    for label in (inside, hidden):
        button.layout().addWidget(label)
    hidden.visible = False
    button.connect("contentsCollapsed(bool)", states.append)
    button.show()
    button.collapsed = True
    assert (inside.isVisible(), button.checked, states) == (False, False, [True])
    button.collapsed = False
    assert (inside.isVisible(), hidden.isVisible()) == (True, False)
    button.collapsed = True
    hidden.visible, inside.visible = True, False
    assert (inside.isVisible(), hidden.isVisible()) == (False, False)
    button.collapsed = False
    assert (inside.isVisible(), hidden.isVisible()) == (False, True)
    button.close()


def test_a_collapsed_button_opens_by_a_click_on_its_header_alone(desktop):
    button = ctk.ctkCollapsibleButton("Advanced")
    button.resize(200, 100)
    button.click()
    assert button.collapsed
    assert button.hitButton(qt.QPoint(10, 5))
    assert not button.hitButton(qt.QPoint(10, 60))


def test_a_slider_keeps_its_value_within_its_limits(desktop):
    slider, values = ctk.ctkSliderWidget(), []
    slider.decimals, slider.minimum, slider.maximum = 1, 0, 10
    slider.connect("valueChanged(double)", values.append)
    slider.value = 3.14159
    slider.value = 11
    slider.value = 11
    slider.maximum = 5
    assert values == [3.1, 10.0, 5.0]


def test_the_user_moves_a_slider(desktop):
    slider, values = ctk.ctkSliderWidget(), []
    slider.maximum = 50.0
    slider.connect("valueChanged(double)", values.append)
    slider.findChild("QSlider").value = 100
    slider.findChild("QDoubleSpinBox").value = 12
    assert values == [50.0, 12.0]


def test_a_range_keeps_its_order(desktop):
    widget, values = ctk.ctkRangeWidget(), []
    widget.setRange(0, 20)
    widget.connect("valuesChanged(double,double)", lambda low, high: values.append((low, high)))
    widget.setValues(15, 5)
    widget.minimumValue = 18
    assert values == [(5, 15), (15, 15)]


def test_a_path_is_browsed_for_as_its_filters_say(desktop):
    edit, paths = ctk.ctkPathLineEdit(), []
    edit.connect("currentPathChanged(QString)", paths.append)
    desktop.answer("/models/a.onnx", "/models", "")
    edit.filters = ctk.ctkPathLineEdit.Files
    edit.browse()
    edit.filters = ctk.ctkPathLineEdit.Dirs
    edit.browse()
    edit.browse()
    assert paths == ["/models/a.onnx", "/models"]
    assert [shown.kind for shown in desktop.shown[:2]] == [
        "getOpenFileName",
        "getExistingDirectory",
    ]


def test_a_combo_box_of_ctk_finds_items_by_their_data(desktop):
    box = ctk.ctkComboBox()
    box.addItem("Synapse CT", "synapse")
    box.addItem("ACDC MR", "acdc")
    box.currentUserDataAsString = "acdc"
    assert box.currentText == "ACDC MR"

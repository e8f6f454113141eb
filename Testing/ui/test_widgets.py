"""The widgets of CTK and Slicer over the real scene: values, signals and their order."""

from __future__ import annotations

import ctk
import pytest
import qt
import slicer


@pytest.fixture
def scene(desktop):
    return slicer.mrmlScene


@pytest.fixture
def selector(scene):
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.setMRMLScene(scene)
    return selector


def add_volume(name="CT", kind="vtkMRMLScalarVolumeNode"):
    return slicer.mrmlScene.AddNewNodeByClass(kind, name)


def current_names(selector):
    """Return a list to which the selector adds the name of each node that becomes current."""
    names = []
    selector.connect(
        "currentNodeChanged(vtkMRMLNode*)", lambda node: names.append(node and node.GetName())
    )
    return names


def items(selector):
    box = selector.findChild("QComboBox")
    return [box.itemText(row) for row in range(box.count)]


# qMRMLNodeComboBox


def test_a_selector_without_scene_is_grey_and_empty(desktop):
    selector = slicer.qMRMLNodeComboBox()
    assert not selector.enabled
    assert selector.nodeCount() == 0
    assert selector.currentNode() is None


def test_only_nodes_of_its_types_are_listed(selector):
    add_volume("CT")
    add_volume("labels", "vtkMRMLLabelMapVolumeNode")
    add_volume("organs", "vtkMRMLSegmentationNode")
    assert [selector.nodeFromIndex(i).GetName() for i in range(2)] == ["CT", "labels"]
    selector.showChildNodeTypes = False
    assert selector.nodeCount() == 1


def test_hidden_nodes_come_and_go(selector):
    volume = add_volume()
    volume.SetHideFromEditors(True)
    assert selector.nodeCount() == 0
    volume.SetHideFromEditors(False)
    assert selector.nodeCount() == 1


def test_an_attribute_filters(selector):
    add_volume("CT")
    add_volume("mask").SetAttribute("GDLA.Role", "mask")
    selector.addAttribute("vtkMRMLScalarVolumeNode", "GDLA.Role", "mask")
    assert selector.nodeFromIndex(0).GetName() == "mask"
    assert selector.nodeCount() == 1


def test_the_first_node_is_current_once_the_scene_is_set_unless_none_is_allowed(scene):
    volume = add_volume()
    for allowed in (False, True):
        selector = slicer.qMRMLNodeComboBox()
        selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        selector.noneEnabled = allowed
        selector.setMRMLScene(scene)
        assert selector.currentNode() is (None if allowed else volume)


def test_a_node_that_comes_later_is_not_selected(selector):
    add_volume()
    assert selector.currentNode() is None


def test_selecting_emits_the_node_then_its_validity_then_its_id(selector):
    volume, signals = add_volume(), []
    for signature in (
        "currentNodeIDChanged(QString)",
        "currentNodeChanged(bool)",
        "currentNodeChanged(vtkMRMLNode*)",
    ):
        selector.connect(signature, lambda value, s=signature: signals.append((s, value)))
    selector.setCurrentNode(volume)
    assert [value for _, value in signals] == [volume, True, volume.GetID()]
    selector.setCurrentNode(volume)
    assert len(signals) == 3


def test_a_new_name_of_the_current_node_is_a_change(selector):
    volume, names = add_volume(), current_names(selector)
    selector.setCurrentNode(volume)
    volume.SetName("CT abdomen")
    assert names == ["CT", "CT abdomen"]


def test_a_removed_node_is_not_current_any_more(selector):
    volume, names = add_volume(), current_names(selector)
    selector.setCurrentNode(volume)
    slicer.mrmlScene.RemoveNode(volume)
    assert names == ["CT", None]
    assert selector.currentNode() is None


def test_closing_the_scene_empties_it(selector, desktop):
    selector.setCurrentNode(add_volume())
    names = current_names(selector)
    desktop.close_scene()
    assert names == [None]
    assert selector.nodeCount() == 0


def test_a_node_is_set_before_the_scene(scene):
    volume = add_volume()
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.noneEnabled = True
    selector.setCurrentNodeID(volume.GetID())
    selector.setMRMLScene(scene)
    assert selector.currentNode() is volume


def test_the_user_creates_and_deletes_nodes_in_the_list(selector):
    added = []
    selector.baseName = "CT"
    selector.connect("nodeAddedByUser(vtkMRMLNode*)", lambda node: added.append(node.GetName()))
    box = selector.findChild("QComboBox")
    box.activated(items(selector).index("Create new Volume"))
    assert added == ["CT"]
    assert selector.currentNode().GetName() == "CT"
    box.activated(items(selector).index("Delete current Volume"))
    assert selector.nodeCount() == 0


def test_what_the_user_may_not_do_is_not_in_the_list(selector):
    selector.addEnabled = selector.removeEnabled = False
    selector.noneEnabled, selector.noneDisplay = True, "Create new segmentation"
    add_volume()
    assert items(selector) == ["Create new segmentation", "CT"]


def test_something_else_than_a_node_is_refused(selector):
    with pytest.raises(ValueError, match="setCurrentNode"):
        selector.setCurrentNode(5)
    with pytest.raises(ValueError, match="setMRMLScene"):
        selector.setMRMLScene("scene")


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

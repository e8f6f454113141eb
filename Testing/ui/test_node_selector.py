"""qMRMLNodeComboBox over the real scene: what it lists, what is current, what it tells."""

from __future__ import annotations

import pytest
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

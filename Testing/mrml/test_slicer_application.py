"""The stand-ins for Slicer's application behave as it does, and refuse what they do not have."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
import vtk


def test_the_scene_is_slicers_own_everywhere(scene):
    assert slicer.app.mrmlScene() is scene is slicer.mrmlScene
    assert slicer.app.applicationLogic().GetMRMLScene() is scene
    assert slicer.modules.volumes.logic().GetMRMLScene() is scene
    assert slicer.util.getModuleLogic("Segmentations") is slicer.modules.segmentations.logic()


@pytest.mark.parametrize("part", ["app", "modules"])
def test_what_is_not_there_raises_and_cannot_be_set(part):
    with pytest.raises(AttributeError):
        getattr(slicer, part).doesNotExist  # noqa: B018
    with pytest.raises(AttributeError):
        getattr(slicer, part).doesNotExist = 1


def test_functions_of_slicer_util_are_not_found_in_slicer_itself():
    assert not hasattr(slicer, "arrayFromVolume")
    assert slicer.util.arrayFromVolume


def test_rendering_is_paused_in_pairs():
    with slicer.util.RenderBlocker():
        assert slicer.app.renderPauses == 1
    with pytest.raises(RuntimeError, match="without"):
        slicer.app.resumeRender()


def test_data_has_an_item_in_the_subject_hierarchy_for_as_long_as_it_is_in_the_scene(scene):
    volume = slicer.util.addVolumeFromArray(np.zeros((2, 3, 4), np.int16))
    tree = scene.GetSubjectHierarchyNode()
    item = tree.GetItemByDataNode(volume)
    assert tree.GetItemParent(item) == tree.GetSceneItemID()
    scene.RemoveNode(volume)
    assert tree.GetNumberOfItems() == 0


def test_hidden_nodes_are_not_in_the_subject_hierarchy(scene):
    node = slicer.vtkMRMLLabelMapVolumeNode()
    node.HideFromEditorsOn()
    scene.AddNode(node)
    assert scene.GetSubjectHierarchyNode().GetNumberOfItems() == 0


def test_closing_the_scene_removes_all_data_and_leaves_a_new_tree(scene):
    slicer.util.addVolumeFromArray(np.zeros((2, 3, 4), np.int16))
    scene.Clear(0)
    assert scene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == 0
    assert scene.GetNumberOfNodesByClass("vtkMRMLSubjectHierarchyNode") == 1


def test_complaints_of_cpp_code_are_heard(vtk_messages):
    assert vtk_messages == []
    slicer.modules.terminologies.logic().LoadTerminologyFromFile("/no/such/file")
    assert any("/no/such/file" in message for message in vtk_messages)
    vtk_messages.clear()


@pytest.mark.parametrize("ending", ["nrrd", "nii.gz"])
def test_a_volume_is_saved_and_loaded(tmp_path, ending):
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    matrix = np.diag([-0.5, -1.5, 2.5, 1.0])
    volume = slicer.util.addVolumeFromArray(array, ijkToRAS=matrix)
    path = tmp_path / f"été 1.{ending}"
    assert slicer.util.saveNode(volume, str(path))
    loaded = slicer.util.loadVolume(str(path))
    assert loaded.GetName() == "été 1"
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(loaded), array)
    read = vtk.vtkMatrix4x4()
    loaded.GetIJKToRASMatrix(read)
    np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(read), matrix, atol=1e-6)


def test_what_cannot_be_loaded_is_an_error(vtk_messages, tmp_path):
    (tmp_path / "bad.nrrd").write_text("no image")
    with pytest.raises(RuntimeError, match="Failed to load"):
        slicer.util.loadVolume(str(tmp_path / "bad.nrrd"))
    vtk_messages.clear()

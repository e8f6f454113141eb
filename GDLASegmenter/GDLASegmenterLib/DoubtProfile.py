"""How doubtful every slice of a segmentation is, kept with it in the scene."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import slicer
import vtk
from slicer.i18n import tr as _

from GDLASegmenterLib.NodeSharing import isShared
from GDLASegmenterLib.NotedGrid import axisMap, matrixOf, noteOf, placeOn, referenceOf
from GDLASegmenterLib.VolumeGrid import VolumeGrid

_ROLE = "GDLA.Doubt"
_AXIS = "GDLA.SliceAxis"
_GRID = "GDLA.Grid"
_SLICE, _DOUBT = range(2)  # the columns, whose titles are in the user's language


@dataclass(frozen=True)
class DoubtProfile:
    """``values``: the doubt of stored slices along array axis ``axis`` (0 = k), by their index.

    The unit is that of ``GDLACore.review.doubt``. A slice without a value was never computed; a
    volume that has only some of the slices may lack slices with one.
    """

    axis: int
    values: Mapping[int, float]


def nextDoubtful(
    values: Mapping[int, float], protected: Collection[int], last: int | None
) -> int | None:
    """Return the slice to look at after ``last``: the most doubtful that is not reviewed yet.

    ``values`` as in ``DoubtProfile``; ``last`` is what this function returned before, None to begin
    with the most doubtful one. ``protected`` slices are passed over. Each slice comes once before
    the first comes again, also if slices were protected meanwhile. None if there is none to look
    at.
    """

    def order(index: int) -> tuple[float, int]:
        return -values[index], index

    slices = sorted((index for index in values if index not in protected), key=order)
    if last in values:
        following = (index for index in slices if order(index) > order(last))
        return next(following, slices[0] if slices else None)
    return slices[0] if slices else None


def profileNode(segmentationNode):
    """Return the table node with the profile of ``segmentationNode``, None if there is none."""
    return segmentationNode.GetNodeReference(_ROLE)


def readProfile(segmentationNode, grid: VolumeGrid) -> DoubtProfile | None:
    """Return the profile that belongs to ``segmentationNode``, of slices of ``grid``.

    The grid may count from another corner and in another order than the one that the doubt was
    stored for, have more or fewer of its slices, or have been moved as a whole. None if there is
    nothing to read, or what there is is of slices with other voxels.
    """
    tableNode = profileNode(segmentationNode)
    if tableNode is None or tableNode.GetNumberOfColumns() <= _DOUBT:
        return None
    axis = tableNode.GetAttribute(_AXIS)
    if axis not in ("0", "1", "2"):
        return None
    table = tableNode.GetTable()
    # A table that was read from a file, or that the user has edited, may consist of texts.
    cells = (
        [table.GetValue(row, column) for column in (_SLICE, _DOUBT)]
        for row in range(table.GetNumberOfRows())
    )
    found = {slice_.ToInt(): doubt.ToDouble() for slice_, doubt in cells if doubt.IsValid()}
    return _onGrid(DoubtProfile(int(axis), found), tableNode, segmentationNode, grid)


def storeDoubt(
    segmentationNode,
    grid: VolumeGrid,
    axis: int,
    doubt: Mapping[int, float],
    written: Collection[int] = (),
) -> None:
    """Keep ``doubt`` of slices along array axis ``axis`` of ``grid``, beside that of others.

    Of ``written`` slices without doubt nothing is known any more: they were made anew. What was
    known of slices along another axis is forgotten: the model that said so is not the one that made
    the segments as they are. So is what was known of slices with other voxels. A table that is
    another segmentation's as well stays as it is: this one gets its own.
    """
    known = readProfile(segmentationNode, grid)
    before = {}
    if known is not None and known.axis == axis:
        before = {index: value for index, value in known.values.items() if index not in written}
    if profileNode(segmentationNode) is None and not doubt:
        return
    slices, numbers = vtk.vtkIntArray(), vtk.vtkDoubleArray()
    slices.SetName(_("Slice"))
    numbers.SetName(_("Doubt [voxels]"))
    for index, value in sorted({**before, **doubt}.items()):
        slices.InsertNextValue(index)
        numbers.InsertNextValue(value)
    tableNode = profileNode(segmentationNode)
    if tableNode is None or isShared(tableNode, _ROLE):
        tableNode = _newTable(segmentationNode)
    wasModified = tableNode.StartModify()
    tableNode.RemoveAllColumns()
    tableNode.AddColumn(slices)
    tableNode.AddColumn(numbers)
    tableNode.SetAttribute(_AXIS, str(axis))
    tableNode.SetAttribute(_GRID, json.dumps(noteOf(segmentationNode, grid)))
    tableNode.EndModify(wasModified)


def _onGrid(
    profile: DoubtProfile, tableNode, segmentationNode, grid: VolumeGrid
) -> DoubtProfile | None:
    """Return ``profile`` as stored in ``tableNode`` with ``grid``'s axes and indices.

    None if its slices are not there, or are not the same voxels.
    """
    note = json.loads(tableNode.GetAttribute(_GRID) or "null")
    steps = note and axisMap(note, matrixOf(grid), grid.shape, referenceOf(segmentationNode))
    if not steps:
        return None
    for across in {0, 1, 2} - {profile.axis}:
        ends = [placeOn(across, index, steps) for index in (0, note["shape"][across] - 1)]
        axis = ends[0][0]
        if sorted(ends) != [(axis, 0), (axis, grid.shape[axis] - 1)]:
            return None
    placed = {placeOn(profile.axis, one, steps): value for one, value in profile.values.items()}
    return DoubtProfile(
        steps[profile.axis][0], {index: value for (_, index), value in placed.items()}
    )


def _newTable(segmentationNode):
    """Add an empty table to the folder of ``segmentationNode``, which refers to it."""
    scene = segmentationNode.GetScene()
    name = scene.GenerateUniqueName(_("{name} doubt").format(name=segmentationNode.GetName()))
    tableNode = scene.AddNewNodeByClass("vtkMRMLTableNode", name)
    tableNode.SetUseColumnTitleAsColumnHeader(True)
    segmentationNode.SetNodeReferenceID(_ROLE, tableNode.GetID())
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = hierarchy.GetItemByDataNode(tableNode)
    if item:
        ofSegmentation = hierarchy.GetItemByDataNode(segmentationNode)
        hierarchy.SetItemParent(item, hierarchy.GetItemParent(ofSegmentation))
    return tableNode

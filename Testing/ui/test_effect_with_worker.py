"""The Segment Editor effect with a real worker process and the demonstration model."""

from __future__ import annotations

import numpy as np
import slicer
from nodes import add_segmentation

INDEX = 9


def test_the_slice_becomes_what_the_command_line_would_say(desktop, effect_module):
    import slice_nodes

    from GDLACore.engine import load_engine
    from GDLACore.options import SegmentOptions
    from GDLACore.pipeline import segment_volume
    from GDLASegmenterLib.SampleCT import loadSampleCT
    from GDLASegmenterLib.VolumeInput import readVolume

    volume = loadSampleCT()[0]
    shape = slicer.util.arrayFromVolume(volume).shape
    node = add_segmentation(volume, {"Liver": np.zeros(shape, bool)})
    view = slice_nodes.add_slice_node("Red")
    slice_nodes.go_to(view, volume, INDEX)
    editor = desktop.show("SegmentEditor").editor
    editor.setSegmentationNode(node)
    editor.setSourceVolumeNode(volume)
    parameters = editor.mrmlSegmentEditorNode()
    parameters.SetSelectedSegmentID(node.GetSegmentation().GetNthSegmentID(0))
    editor.setActiveEffectByName("GDLA")
    options = editor.effectByName("GDLA").self()._options
    desktop.process_events()
    desktop.click(options.segmentButton)
    desktop.wait_until(lambda: options.segmentButton.enabled)
    assert options.statusLabel.text.endswith("voxels changed."), options.statusLabel.text
    with load_engine("demo-ct", device="cpu") as engine:
        options = SegmentOptions(range(INDEX, INDEX + 1), batch_size=1)
        labels = segment_volume(readVolume(volume), engine, options)
    found = slicer.util.arrayFromSegmentBinaryLabelmap(
        node, node.GetSegmentation().GetNthSegmentID(0), volume
    )
    assert labels[INDEX].any()
    np.testing.assert_array_equal(found != 0, labels == 1)
    slicer.mrmlScene.RemoveNode(view)

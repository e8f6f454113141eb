"""The sample of the tutorial, registered in Slicer's Sample Data module; it needs no network."""

from __future__ import annotations

from pathlib import Path

import slicer.util
from slicer.i18n import tr as _

NAME = "GDLA abdominal CT"
_CATEGORY = "GDLASegmenter"


def registerSampleCT() -> None:
    """Add the CT to the Sample Data module."""
    import SampleData

    from GDLACore.resources import resource_path

    logic = SampleData.SampleDataLogic
    logic.registerCustomSampleDataCategory(_CATEGORY, title=_("GDLA Segmenter"))
    icons = Path(__file__).resolve().parents[1] / "Resources" / "Icons"
    logic.registerCustomSampleDataSource(
        category=_CATEGORY,
        sampleName=NAME,
        # Not fetched, for there is a downloader; but Slicer refuses a source without an address.
        uris=resource_path("samples", "ct-abdomen-dicom").as_uri(),
        thumbnailFileName=str(icons / "GDLAAbdominalCT.png"),
        nodeNames=_("GDLA abdominal CT"),
        customDownloader=loadSampleCT,
    )


def loadSampleCT(source=None) -> list:
    """Load the CT that ships with the extension, and return its volume node in a list."""
    from GDLACore.imaging.reading import read_volume
    from GDLACore.resources import resource_path

    volume = read_volume(resource_path("samples", "ct-abdomen-dicom"))
    node = slicer.util.addVolumeFromArray(
        volume.array, volume.ijk_to_ras, _("GDLA abdominal CT"), "vtkMRMLScalarVolumeNode"
    )
    displayNode = node.GetDisplayNode()
    displayNode.SetAutoWindowLevel(False)
    displayNode.SetWindowLevel(350, 50)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return [node]

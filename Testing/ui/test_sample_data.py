"""The sample CT in Slicer's Sample Data module: a button with a thumbnail, and no network."""

from __future__ import annotations

from pathlib import Path

import pytest
import slicer
import slicer.util

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def started(desktop):
    """Slicer after its start, with the modules that it found."""
    desktop.load(ROOT / "Testing/ui/slicer_host/modules/SampleData.py")
    desktop.load(ROOT / "GDLASegmenter/GDLASegmenter.py")
    desktop.application.startupCompleted.emit()
    return desktop


def sources():
    return slicer.modules.sampleDataSources["GDLASegmenter"]


def test_the_sample_is_registered_once_with_a_thumbnail_that_is_there(started):
    (source,) = sources()
    assert source.sampleName == "GDLA abdominal CT"
    assert Path(source.thumbnailFileName).stat().st_size < 100_000
    started.application.startupCompleted.emit()
    assert len(sources()) == 1


def test_its_button_loads_the_ct(started):
    panel = started.show("SampleData")
    (source,) = sources()
    started.click(slicer.util.findChild(panel.parent, f"{source.sampleName}PushButton"))
    node = slicer.util.getNode("GDLA abdominal CT")
    assert node.GetImageData().GetDimensions() == (512, 512, 20)
    assert node.GetSpacing() == pytest.approx((0.9765625, 0.9765625, 2.0))


def test_what_is_registered_as_slicer_would_refuse_is_refused(started):
    import SampleData

    with pytest.raises(TypeError):
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category="Other", sampleName="no address", nodeNames="image"
        )

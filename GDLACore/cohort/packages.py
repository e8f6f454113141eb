"""What must be installed before a cohort begins, so that not every study fails for want of it."""

from __future__ import annotations

from GDLACore.cohort.settings import BatchSettings
from GDLACore.imaging.dicom_codes import highdicom_module
from GDLACore.imaging.overlay import check_pillow


def check_packages(settings: BatchSettings) -> None:
    """Raise OutputError if a package that writing the results takes is missing or too old."""
    check_pillow()
    if settings.format == "dcm":
        highdicom_module()

"""What a computer without internet needs: wheels, models and a guide in one folder.

Needs only the standard library and numpy: a first installation asks it before there is anything.
"""

from GDLACore.offline.bundle import (
    BundlePlan,
    no_wheels,
    wheels_by_pip,
    wheels_from,
    write_bundle,
)
from GDLACore.offline.checksums import Verdict, verify
from GDLACore.offline.install import OfflineInstall, offline_install
from GDLACore.offline.into_folder import install_from_folder
from GDLACore.offline.platforms import FLAVOURS, PLATFORMS, Platform

__all__ = [
    "FLAVOURS",
    "PLATFORMS",
    "BundlePlan",
    "OfflineInstall",
    "Platform",
    "Verdict",
    "install_from_folder",
    "no_wheels",
    "offline_install",
    "verify",
    "wheels_by_pip",
    "wheels_from",
    "write_bundle",
]

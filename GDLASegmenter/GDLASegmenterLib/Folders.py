"""Where this user's Slicer keeps what the module installs: beside Slicer's own settings."""

from __future__ import annotations

from pathlib import Path

import slicer

from GDLACore.installation import RuntimeFolder
from GDLACore.storage import model_folder


def runtimeFolder() -> RuntimeFolder:
    """Return where ONNX Runtime is installed for the worker, apart from Slicer's packages."""
    return RuntimeFolder(_dataFolder() / "runtime", [pythonSlicer()])


def modelFolder() -> Path:
    """Return the folder of the checkpoints; the environment variable GDLA_MODEL_DIR decides."""
    return model_folder(_dataFolder() / "models")


def trainingSetSecret() -> Path:
    """Return the file of the secret that patients get pseudonyms with: in no training set."""
    return _dataFolder() / "training-set.secret"


def pythonSlicer() -> str:
    """Return the path of Slicer's Python, which starts without Slicer's window."""
    folder = Path(slicer.app.slicerHome) / "bin"
    for name in ("PythonSlicer.exe", "PythonSlicer"):
        if (folder / name).exists():
            return str(folder / name)
    return str(folder / "PythonSlicer")  # what is missing will be said when it is started


def _dataFolder() -> Path:
    return Path(slicer.app.slicerUserSettingsFilePath).parent / "GDLASegmenter"

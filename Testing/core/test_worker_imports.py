"""What Slicer's own process has to load to talk to the worker: as good as nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_client_loads_no_engine_and_none_of_its_libraries():
    program = "import sys, GDLACore.worker; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split()
    forbidden = {"scipy", "onnxruntime", "SimpleITK", "pydicom", "torch"}
    assert {name.split(".")[0] for name in loaded} & forbidden == set()
    ours = {name for name in loaded if name.startswith("GDLACore.")}
    parts = {name.split(".")[1] for name in ours}
    assert parts <= {
        "worker",
        "errors",
        "options",
        "model",
        "imaging",
        "resources",
        "file_lock",
        "owned_folder",
        "process_tree",
        "remote",
    }
    assert {name for name in ours if name.startswith("GDLACore.imaging.")} == {
        "GDLACore.imaging.volume"
    }

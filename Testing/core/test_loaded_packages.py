"""What a process of ours loads, and what it can do without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk

from GDLACore.imaging.reading import read_volume
from GDLACore.model.catalogue import find
from GDLACore.model.onnx_file import check_onnx_file
from GDLACore.resources import resource_path

ROOT = Path(__file__).resolve().parents[2]

HEAVY = {"numpy", "scipy", "SimpleITK", "pydicom", "onnxruntime", "torch", "timm", "rich", "PIL"}

# What a process is to do without is not found by it, as if it were not installed.
WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if {condition}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""
ONLY_NUMPY = WITHOUT.format(
    condition="top not in sys.stdlib_module_names and top not in {'numpy', 'GDLACore'}"
)
NO_TORCH = WITHOUT.format(
    condition="top in {'torch', 'timm', 'safetensors', 'onnx', 'lightning', 'monai'}"
)

LOADED = """
import sys
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""

COMMAND = """
import sys
from GDLACore.cli import main
sys.exit(main(sys.argv[1:]))
"""


def output(program: str, *arguments: object) -> str:
    """Return what a process that runs ``program`` prints; it must end without an error."""
    result = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def two_slices(tmp_path: Path) -> Path:
    """Return an NRRD of two slices of the sample CT, in the middle of the liver."""
    sample = read_volume(resource_path("samples", "ct-abdomen-dicom"))
    image = sitk.GetImageFromArray(sample.array[9:11])
    image.SetSpacing(sample.spacing)
    sitk.WriteImage(image, str(tmp_path / "ct.nrrd"))
    return tmp_path / "ct.nrrd"


def test_the_package_imports_where_there_is_only_numpy() -> None:
    assert output(ONLY_NUMPY + "import GDLACore; print(GDLACore.__version__)").strip()


def test_the_catalogue_can_be_read_where_there_is_only_numpy() -> None:
    code = "from GDLACore.model.catalogue import catalogue; print(len(catalogue()))"
    assert int(output(ONLY_NUMPY + code)) >= 5


def test_a_checkpoint_becomes_an_onnx_file_where_there_is_only_numpy(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from GDLACore.export.model_file import write_onnx_model
from GDLACore.weights.loading import load_weights
write_onnx_model(Path(sys.argv[1]), load_weights("demo-ct"))
"""
    output(ONLY_NUMPY + program, tmp_path / "demo.onnx")
    assert check_onnx_file(tmp_path / "demo.onnx") == find("demo-ct").card


def test_a_ct_is_segmented_where_there_is_no_torch(two_slices: Path, tmp_path: Path) -> None:
    out = tmp_path / "organs.seg.nrrd"
    arguments = ("segment", two_slices, "-o", out, "--device", "cpu", "--json")
    summary = json.loads(output(NO_TORCH + COMMAND, *arguments))
    found = {row["name"]: row["voxels"] for row in summary["structures"]}
    assert found["Liver"] > 5000
    assert sitk.ReadImage(str(out)).GetSize() == (512, 512, 2)


@pytest.mark.parametrize(
    "code",
    [
        "import GDLACore",
        "import GDLACore.cli",
        "from GDLACore.cli.parser import command_line; command_line().format_help()",
    ],
)
def test_the_package_and_its_help_wait_for_nothing_heavy(code: str) -> None:
    assert HEAVY.isdisjoint(output(code + LOADED).split())


def test_a_segmentation_does_not_wait_for_torch_where_it_is_installed() -> None:
    code = "import GDLACore.cli.segment, GDLACore.engine"
    assert {"torch", "onnxruntime"}.isdisjoint(output(code + LOADED).split())


def test_running_a_model_leaves_no_traces_of_reports_to_the_makers_of_onnx_runtime(
    tmp_path: Path,
) -> None:
    folders = {name: str(tmp_path / name) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    for folder in folders.values():
        Path(folder).mkdir()
    code = "from GDLACore.engine import load_engine; load_engine('demo-ct', device='cpu').warm_up()"
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **folders},
        check=True,
        timeout=300,
    )
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

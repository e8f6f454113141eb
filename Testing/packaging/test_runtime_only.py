"""A CT is segmented where nothing is installed but what running a model needs: no PyTorch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from installed import ROOT, Installation, install

from GDLACore.engine import load_engine
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.volume import Volume
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import segment_volume

WITHOUT_DICOM = ("numpy", "scipy", "SimpleITK", "onnxruntime")
RUNTIME = (*WITHOUT_DICOM, "pydicom")

SAMPLE = ROOT / "Resources" / "samples" / "ct-abdomen-dicom"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """What ``pip install ".[cpu]"`` installs."""
    return install(tmp_path_factory.mktemp("runtime"), RUNTIME)


@pytest.fixture(scope="module")
def without_dicom(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("without-dicom"), WITHOUT_DICOM)


@pytest.fixture(scope="module")
def sample() -> Volume:
    return read_volume(SAMPLE)


@pytest.fixture(scope="module")
def expected(sample: Volume) -> np.ndarray:
    """Return the labels of the sample CT in the environment of the tests."""
    with load_engine("demo-ct", device="cpu") as engine:
        labels = segment_volume(sample, engine)
    assert len(np.unique(labels)) > 5
    return labels


def labels_in(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def written(volume: Volume, path: Path) -> Path:
    """Return ``path``, at which ``volume`` has been written."""
    lps = np.diag([-1, -1, 1, 1]) @ volume.ijk_to_ras
    image = sitk.GetImageFromArray(volume.array)
    image.SetSpacing(volume.spacing)
    image.SetDirection((lps[:3, :3] / volume.spacing).ravel())
    image.SetOrigin(lps[:3, 3])
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize(
    "package",
    ["torch", "timm", "safetensors", "onnx", "openvino", "rich", "PIL", "lightning", "yaml", "pip"],
)
def test_nothing_else_is_installed(runtime: Installation, package: str) -> None:
    assert "ModuleNotFoundError" in runtime.python(f"import {package}").stderr


def test_the_code_is_the_installed_one(runtime: Installation) -> None:
    where = runtime.python("import GDLACore; print(GDLACore.__file__)").stdout
    assert Path(where.strip()).is_relative_to(runtime.folder)


def test_a_user_segments_the_sample_ct(
    runtime: Installation, expected: np.ndarray, tmp_path: Path
) -> None:
    out = tmp_path / "organs.seg.nrrd"
    done = runtime.gdla("segment", SAMPLE, "-o", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Liver" in done.stdout and "CPU" in done.stdout
    np.testing.assert_array_equal(labels_in(out), expected)


@pytest.mark.parametrize("borders", ["smooth", "published"])
def test_the_labels_are_those_of_pytorch(
    runtime: Installation, sample: Volume, tmp_path: Path, borders: str
) -> None:
    pytest.importorskip("torch")
    out = tmp_path / "organs.nrrd"
    done = runtime.gdla("segment", SAMPLE, "-o", out, "--borders", borders, "--json")
    assert done.returncode == 0, done.stderr
    print(json.loads(done.stdout)["seconds"])
    with load_engine("demo-ct", device="cpu", runtime="torch") as engine:
        theirs = segment_volume(sample, engine, SegmentOptions(borders=borders))
    agreement = (labels_in(out) == theirs).mean()
    print(f"{agreement:.6%} of the labels are those of PyTorch")
    assert agreement >= 0.9999


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_without_pydicom_other_images_are_segmented_alike(
    without_dicom: Installation, sample: Volume, expected: np.ndarray, tmp_path: Path, suffix: str
) -> None:
    assert "ModuleNotFoundError" in without_dicom.python("import pydicom").stderr
    image, out = written(sample, tmp_path / f"ct{suffix}"), tmp_path / "organs.nrrd"
    done = without_dicom.gdla("segment", image, "-o", out)
    assert (done.returncode, done.stderr) == (0, "")
    np.testing.assert_array_equal(labels_in(out), expected)


def test_without_pydicom_a_dicom_image_says_what_to_install(
    without_dicom: Installation, tmp_path: Path
) -> None:
    for path in (SAMPLE, SAMPLE / "IM0001.dcm"):
        done = without_dicom.gdla("segment", path, "-o", tmp_path / "organs.nrrd")
        assert done.returncode == 1
        assert done.stderr.startswith("gdla: error: IM0001.dcm is a DICOM file, and pydicom")
        assert "pip install pydicom" in done.stderr and done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_model_is_exported_and_the_export_segments_alike(
    runtime: Installation, expected: np.ndarray, tmp_path: Path
) -> None:
    model, out = tmp_path / "demo.onnx", tmp_path / "organs.nrrd"
    done = runtime.gdla("export", "demo-ct", "-o", model)
    assert done.returncode == 0, done.stderr
    done = runtime.gdla("segment", SAMPLE, "-o", out, "--model", model)
    assert (done.returncode, done.stderr) == (0, "")
    np.testing.assert_array_equal(labels_in(out), expected)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("models",), "demo-ct"),
        (("info", "demo-ct"), "Liver"),
        (("info", SAMPLE), "512 x 512 x 20"),
        (("calibrate", "demo-ct", SAMPLE, "--sample", "1"), "Label order"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_the_other_commands_do_without_pytorch_too(
    runtime: Installation, command: tuple, words: str
) -> None:
    done = runtime.gdla(*command)
    assert done.returncode == 0, done.stderr
    assert words in done.stdout


@pytest.mark.parametrize(
    ("command", "package"),
    [
        (
            ("segment", SAMPLE, "-o", "o.nrrd", "--runtime", "torch"),
            "Install torch, timm and safetensors with pip",
        ),
        (("segment", SAMPLE, "-o", "o.nrrd", "--overlay", "o.png"), "pip install"),
        (("train", "plan.yaml", "-o", "runs"), "lightning, monai, h5py and pyyaml with pip"),
    ],
    ids=["torch", "overlay", "train"],
)
def test_what_needs_more_says_what_to_install(
    runtime: Installation, command: tuple, package: str
) -> None:
    done = runtime.gdla(*command)
    assert done.returncode == 1
    assert done.stderr.startswith("gdla: error: ") and done.stderr.count("\n") == 1
    assert package in done.stderr

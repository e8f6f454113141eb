"""Segmentations arrive in files whole, in the right place, or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from phantom import GEOMETRIES, make_card, make_labels, make_volume

from GDLACore.errors import OutputError
from GDLACore.imaging.volume import ras_from_sitk
from GDLACore.imaging.writing import LABEL_SUFFIXES, check_output, write_segmentation


@pytest.mark.parametrize("suffix", LABEL_SUFFIXES)
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_labels_come_back_on_the_grid_of_the_image(tmp_path, suffix, geometry):
    volume, labels = make_volume(GEOMETRIES[geometry]), make_labels()
    path = write_segmentation(tmp_path / f"out{suffix}", labels, volume, make_card())
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), labels)
    np.testing.assert_allclose(ras_from_sitk(image), volume.ijk_to_ras, atol=1e-4)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("form", ["get_sform", "get_qform"])
def test_both_nifti_matrices_are_those_of_the_image(tmp_path, geometry, form):
    volume = make_volume(GEOMETRIES[geometry])
    path = write_segmentation(tmp_path / "out.nii", make_labels(), volume, make_card())
    nibabel = pytest.importorskip("nibabel")
    matrix, code = getattr(nibabel.load(path), form)(coded=True)
    assert code == 1
    np.testing.assert_allclose(matrix, volume.ijk_to_ras, atol=1e-4)


def test_a_sheared_grid_survives_in_nifti(tmp_path):
    axes = np.array([[1, 0, 0], [0, 1, 0.3], [0, 0, 1]])
    path = write_segmentation(tmp_path / "o.nii.gz", make_labels(), make_volume(axes), make_card())
    image = pytest.importorskip("nibabel").load(path)
    assert int(image.header["qform_code"]) == 0
    np.testing.assert_allclose(image.affine, make_volume(axes).ijk_to_ras, atol=1e-4)


@pytest.mark.parametrize("suffix", LABEL_SUFFIXES)
def test_more_than_255_structures_fit(tmp_path, suffix):
    card = make_card(tuple(f"structure {n}" for n in range(300)))
    labels = np.arange(6 * 7 * 8).reshape(6, 7, 8) % 301
    path = write_segmentation(tmp_path / f"o{suffix}", labels, make_volume(np.eye(3)), card)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), labels)


@pytest.mark.parametrize("suffix", LABEL_SUFFIXES)
def test_labels_that_are_a_view_of_a_turned_array_are_written_in_their_own_order(tmp_path, suffix):
    labels = make_labels((8, 7, 6)).T[::-1]
    path = write_segmentation(tmp_path / f"o{suffix}", labels, make_volume(np.eye(3)), make_card())
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), labels)


def test_names_cannot_break_the_header(tmp_path):
    card = make_card(("a|b:c\nd", "bauchspeicheldrüse \\ 膵臓", "plain"))
    path = write_segmentation(tmp_path / "o.seg.nrrd", make_labels(), make_volume(np.eye(3)), card)
    image = sitk.ReadImage(str(path))
    names = [image.GetMetaData(f"Segment{n}_Name") for n in range(3)]
    assert names == ["a/b:c d", "bauchspeicheldrüse \\ 膵臓", "plain"]


def test_labels_of_another_grid_are_refused(tmp_path):
    with pytest.raises(ValueError, match="grid"):
        write_segmentation(
            tmp_path / "o.nrrd", make_labels((6, 7, 9)), make_volume(np.eye(3)), make_card()
        )
    assert not list(tmp_path.iterdir())


def test_a_nifti_axis_that_is_too_long_is_refused_with_an_alternative(tmp_path):
    volume = make_volume(np.eye(3), (1, 2, 40_000))
    with pytest.raises(OutputError, match=r"40000.*\.nrrd"):
        write_segmentation(tmp_path / "o.nii", volume.array.astype(np.uint8), volume, make_card())
    write_segmentation(tmp_path / "o.nrrd", volume.array.astype(np.uint8), volume, make_card())
    assert [path.name for path in tmp_path.iterdir()] == ["o.nrrd"]


def test_an_old_file_is_kept_unless_replacing_is_allowed(tmp_path):
    path, volume, card = tmp_path / "o.nii", make_volume(np.eye(3)), make_card()
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"exists.*--force"):
        write_segmentation(path, make_labels(), volume, card)
    assert path.read_bytes() == b"precious"
    write_segmentation(path, make_labels(), volume, card, overwrite=True)
    assert sitk.ReadImage(str(path)).GetSize() == (8, 7, 6)


@pytest.mark.skipif(os.name == "nt", reason="permission bits of POSIX")
def test_the_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "new").touch()
    path = write_segmentation(
        tmp_path / "o.mha", make_labels(), make_volume(np.eye(3)), make_card()
    )
    assert path.stat().st_mode == (tmp_path / "new").stat().st_mode


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_failure_at_the_last_moment_leaves_the_old_file_and_nothing_else(
    tmp_path, monkeypatch, error
):
    path = tmp_path / "o.nii"
    path.write_bytes(b"precious")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OutputError if isinstance(error, OSError) else KeyboardInterrupt):
        write_segmentation(path, make_labels(), make_volume(np.eye(3)), make_card(), overwrite=True)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("o.nii", b"precious")]


_WRITE_WITH_A_LIMIT = """
import resource, signal, sys
import numpy as np
sys.path[:0] = [sys.argv[1]]
from phantom import make_card, make_labels, make_volume
from GDLACore.errors import OutputError
from GDLACore.imaging.writing import write_segmentation
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
volume = make_volume(np.eye(3), (9, 40, 40))
try:
    write_segmentation(sys.argv[2], make_labels((9, 40, 40)), volume, make_card(), overwrite=True)
except OutputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.parametrize("missing", [1, 900])
@pytest.mark.parametrize("suffix", LABEL_SUFFIXES)
def test_a_disk_without_room_for_the_last_bytes_costs_neither_the_old_file_nor_the_truth(
    tmp_path, suffix, missing
):
    volume = make_volume(np.eye(3), (9, 40, 40))
    path = tmp_path / f"o{suffix}"
    write_segmentation(path, make_labels((9, 40, 40)), volume, make_card())
    size = path.stat().st_size
    path.write_bytes(b"precious")
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", _WRITE_WITH_A_LIMIT, here, str(path), str(size - missing)]
    root = Path(__file__).parents[2]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    assert "cannot be written" in result.stdout, result.stderr
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [(path.name, b"precious")]


def _refusal(path: Path, inputs: tuple[Path, ...] = (), *, overwrite: bool = True) -> str:
    with pytest.raises(OutputError) as refused:
        check_output(path, inputs=inputs, overwrite=overwrite)
    assert refused.value.hint
    return refused.value.message


def test_a_good_output_passes_and_leaves_no_trace(tmp_path):
    check_output(tmp_path / "o.SEG.NRRD", inputs=[tmp_path / "missing.nii"], overwrite=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["o", "o.png", "o.nii.bz2", ".nii.gz", "o.seg"])
def test_an_unknown_format_is_refused(tmp_path, name):
    assert "format" in _refusal(tmp_path / name)


def test_a_folder_is_refused_as_output(tmp_path):
    (tmp_path / "o.nrrd").mkdir()
    assert "is a folder" in _refusal(tmp_path / "o.nrrd")


def test_a_missing_folder_is_named(tmp_path):
    assert str(tmp_path / "missing") in _refusal(tmp_path / "missing" / "o.nrrd")


def test_a_file_taken_for_a_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    assert "does not exist" in _refusal(tmp_path / "file" / "o.nrrd")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder nobody can write to")
def test_a_folder_that_cannot_be_written_to_is_refused():
    assert "cannot be written" in _refusal(Path("/proc/o.nrrd"))


@pytest.mark.parametrize("link", [None, "symlink_to", "hardlink_to"])
def test_the_input_is_never_the_output(tmp_path, link):
    source = output = tmp_path / "ct.nii.gz"
    source.write_bytes(b"ct")
    if link:
        output = tmp_path / "link.nii.gz"
        getattr(output, link)(source)
    assert "is an input" in _refusal(output, (source,))


def test_a_dicom_file_in_the_input_folder_is_never_the_output(tmp_path):
    folder = tmp_path / "series"
    folder.mkdir()
    (folder / "slice.nii").write_bytes(bytes(128) + b"DICM")
    (folder / "earlier.nii").write_bytes(b"an earlier result")
    (tmp_path / "link.nii").symlink_to(folder / "slice.nii")
    assert "is an input" in _refusal(folder / "slice.nii", (folder,))
    assert "is an input" in _refusal(tmp_path / "link.nii", (folder,))
    check_output(folder / "earlier.nii", inputs=[folder], overwrite=True)


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_the_voxels_of_an_input_with_two_files_are_never_the_output(tmp_path, suffix):
    header = tmp_path / f"scan{suffix}"
    sitk.WriteImage(sitk.Image(4, 4, 4, sitk.sitkInt16), str(header))
    (voxels,) = (path for path in tmp_path.iterdir() if path != header)
    text = header.read_bytes().replace(voxels.name.encode(), b"voxels.nrrd")
    header.write_bytes(text)
    voxels.rename(tmp_path / "voxels.nrrd")
    with pytest.raises(OutputError, match="is an input"):
        check_output(tmp_path / "voxels.nrrd", inputs=[header], overwrite=True)


def test_the_longest_name_a_file_system_allows_can_be_written(tmp_path):
    path = tmp_path / ("n" * 250 + ".nrrd")
    write_segmentation(path, make_labels(), make_volume(np.eye(3)), make_card())
    assert path.exists()


def test_a_name_that_is_too_long_is_refused_before_any_work(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        check_output(tmp_path / ("n" * 300 + ".nrrd"), inputs=(), overwrite=False)

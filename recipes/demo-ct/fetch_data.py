"""Fetch the demonstration model's training data: real CTs that two packages on PyPI carry.

    python recipes/demo-ct/fetch_data.py

TotalSegmentator's source distribution (Apache-2.0) holds the abdomen and the aortic dissection with
label maps made by its own network; slicerio (MIT) holds the chest with labels made in 3D Slicer.
Every file is checked against its SHA-256, so the recipe trains on these bytes or not at all.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

DATA = Path(__file__).resolve().parent / "data"

PACKAGES = {
    "totalsegmentator==2.18.0": ("--no-binary", "totalsegmentator"),
    "slicerio==1.4.0": ("--only-binary", "slicerio"),
}

REFERENCE = "totalsegmentator-2.18.0/tests/reference_files"
# our name -> (place in the package, SHA-256)
FILES = {
    "abdomen.nii.gz": (
        f"{REFERENCE}/example_ct.nii.gz",
        "dbd3ae6d614d1d7ef3a46925c30c70038ed52da6b37fdd6afdc7b9b71387e3e1",
    ),
    "abdomen-labels.nii.gz": (
        f"{REFERENCE}/example_seg_fast_force_split.nii.gz",
        "e8097758e56e73099075b6caaebce23ef11bc6fad66a4ec3753b9406846558c7",
    ),
    "dissection.nii.gz": (
        f"{REFERENCE}/aorta_report/example_ct.nii.gz",
        "372d98723e3283a8d4a0ae2f0ef1e581c0ad17b673b30b2e8d3e215180cc2a12",
    ),
    "dissection-aorta.nii.gz": (
        f"{REFERENCE}/aorta_report/test_result/models/aorta.nii.gz",
        "7fa1b813c63abcbe455b62a510c5e7a00fe0998f30541d5a8af46b20a88dd7f7",
    ),
    "chest.nrrd": (
        "slicerio/data/CTChest4.nrrd",
        "439ee098e50ee8e3254bd80ed8bcf7f8d006da4cab35be7a65b61ccb30dd6a3d",
    ),
    "chest-labels.seg.nrrd": (
        "slicerio/data/Segmentation.seg.nrrd",
        "1a35d7165f51521cf4c747d81278eb461e5f151b0ea43f1bfb38fba3453140cf",
    ),
}


def main() -> int:
    """Fetch what is missing; return 0, or 1 if a file is not the expected one."""
    DATA.mkdir(exist_ok=True)
    if all(_is_right(name) for name in FILES):
        print(f"Everything is in {DATA}.")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        for package, (option, name) in PACKAGES.items():
            print(f"Downloading {package} ...", flush=True)
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                option,
                name,
            ]
            subprocess.run([*command, "--dest", folder, package], check=True)
        archives = sorted(Path(folder).iterdir())
        for name, (inner, _) in FILES.items():
            (DATA / name).write_bytes(_extracted(archives, inner))
    wrong = [name for name in FILES if not _is_right(name)]
    for name in wrong:
        print(f"{DATA / name} is not the file the recipe was written for.", file=sys.stderr)
    return 1 if wrong else 0


def _extracted(archives: list[Path], inner: str) -> bytes:
    for archive in archives:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                if inner in wheel.namelist():
                    return wheel.read(inner)
        else:
            with tarfile.open(archive) as source:
                if inner in source.getnames():
                    return source.extractfile(inner).read()
    raise FileNotFoundError(f"{inner} is in none of {[archive.name for archive in archives]}")


def _is_right(name: str) -> bool:
    path = DATA / name
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == FILES[name][1]


if __name__ == "__main__":
    sys.exit(main())

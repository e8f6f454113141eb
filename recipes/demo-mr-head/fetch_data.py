"""Fetch two heads in MR: one to learn from, one to check on, from Debian and from PyPI.

    python recipes/demo-mr-head/fetch_data.py [FOLDER]

Debian's mricron-data (BSD-3-Clause) holds ch2, a head scanned 27 times and averaged, and ch2bet,
its brain. The source distribution of pycortex (BSD-2-Clause) holds the head of another person from
another scanner and FreeSurfer's surfaces of its cerebrum. The package of Debian is unpacked, not
installed: that needs `apt-get` and `dpkg-deb`. Elsewhere put both packages, or what is in them,
into a FOLDER. Every file is checked against its SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

DATA = Path(__file__).resolve().parent / "data"

DEBIAN_PACKAGE = "mricron-data"
PYPI_PACKAGE = "pycortex==1.4.0"

TEMPLATES = "usr/share/mricron/templates"
SUBJECT = "pycortex-1.4.0/filestore/db/S1"
# our name -> (place in the package, SHA-256)
FILES = {
    "ch2.nii.gz": (
        f"{TEMPLATES}/ch2.nii.gz",
        "a009051127f64dc3dd554d5f5b589870ea72106d9642c21b4e7093e478cfc309",
    ),
    "ch2bet.nii.gz": (
        f"{TEMPLATES}/ch2bet.nii.gz",
        "592a2d20abdf36eefcb540ca8958428040edffc1bc1a18ba1dcfbabac77c5dd1",
    ),
    "other-head.nii.gz": (
        f"{SUBJECT}/anatomicals/raw.nii.gz",
        "1a480d10e8c07fbca58e069efce2a11d477e180beb43f88bdad825b750055a28",
    ),
    "other-left.gii": (
        f"{SUBJECT}/surfaces/pia_lh.gii",
        "63cd7317ed7be61ac632fa8f1b80a0272601f9b22ad7bf954116138496d23d57",
    ),
    "other-right.gii": (
        f"{SUBJECT}/surfaces/pia_rh.gii",
        "127c4b4a4df29adcb438f9c46e76d0f433f80e9c94e4b84dfafb0e11e4e6d356",
    ),
}


def main() -> int:
    """Fetch what is missing; return 0, or 1 if a file is not the expected one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="where the two packages lie already")
    folder = parser.parse_args().folder
    DATA.mkdir(exist_ok=True)
    if all(_is_right(name) for name in FILES):
        print(f"Everything is in {DATA}.")
        return 0
    with tempfile.TemporaryDirectory() as unpacked:
        if folder is None:
            _download(Path(unpacked))
        _unpack(folder or Path(unpacked), Path(unpacked))
        for name, (inner, _) in FILES.items():
            places = [Path(unpacked) / inner, *([folder / inner] if folder else [])]
            found = [place for place in places if place.exists()]
            if not found:
                print(f"{inner} is in none of the packages.", file=sys.stderr)
                return 1
            (DATA / name).write_bytes(found[0].read_bytes())
    wrong = [name for name in FILES if not _is_right(name)]
    for name in wrong:
        print(f"{DATA / name} is not the file the recipe was written for.", file=sys.stderr)
    return 1 if wrong else 0


def _download(folder: Path) -> None:
    print(f"Downloading {DEBIAN_PACKAGE} and {PYPI_PACKAGE} ...", flush=True)
    # apt fetches as another user, who must be able to write here.
    folder.chmod(0o777)
    subprocess.run(["apt-get", "download", "-qq", DEBIAN_PACKAGE], cwd=folder, check=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    sdist = ["--no-binary", "pycortex", "--dest", str(folder), PYPI_PACKAGE]
    subprocess.run([*pip, *sdist], check=True)


def _unpack(packages: Path, into: Path) -> None:
    for package in packages.glob("mricron-data_*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(package), str(into)], check=True)
    wanted = {inner for inner, _ in FILES.values()}
    for package in packages.glob("pycortex-*.tar.gz"):
        with tarfile.open(package) as source:
            for member in source.getmembers():
                if member.name in wanted and member.isfile():
                    (into / member.name).parent.mkdir(parents=True, exist_ok=True)
                    (into / member.name).write_bytes(source.extractfile(member).read())


def _is_right(name: str) -> bool:
    path = DATA / name
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == FILES[name][1]


if __name__ == "__main__":
    sys.exit(main())

"""What can be typed after ``gdla models`` and ``gdla bundle``."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from GDLACore.cli import commands
from GDLACore.cli.options import add_card, add_json, named_path

# Those of GDLACore.offline, which it would take too long to import for --help.
PLATFORMS = ("windows", "linux", "macos-arm64", "macos-x86_64")
FLAVOURS = ("cpu", "directml", "gpu")

_SLICERS_PYTHON = (3, 12)

_MODELS = """\
List the known models, and those in the model folder. That is $GDLA_MODEL_DIR, or else a folder
among your data. What is in there can be used by its name, as in `gdla segment --model NAME`.
"""

_IMPORT = """\
Take a model file into the model folder: an .onnx file as it is, a .ckpt, .pth or .safetensors as an
.onnx file made from it. Yours stays where it is, and nothing in it is executed.
"""

_BUNDLE = """\
Write a folder with what a computer without internet needs: models, the wheels of the engine (or a
list of them), checksums and an installation guide. Or check such a folder.
"""


def add_models(subparsers: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add ``gdla models`` and what it can do with the model folder."""
    parser = subparsers.add_parser(
        "models",
        parents=[common],
        help="list the known models; download, import, remove them",
        description=_MODELS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=commands.models)
    add_json(parser)
    actions = parser.add_subparsers(metavar="ACTION")
    get = actions.add_parser("download", parents=[common], help="download models of the list")
    get.set_defaults(command=commands.download_models)
    get.add_argument("names", metavar="NAME", nargs="+")
    take = actions.add_parser(
        "import",
        parents=[common],
        help="take a model file into the model folder",
        description=_IMPORT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    take.set_defaults(command=commands.import_model)
    take.add_argument("file", metavar="FILE", type=named_path)
    add_card(take)
    take.add_argument("--name", help="what to call it in the folder (default: as its card does)")
    remove = actions.add_parser("remove", parents=[common], help="remove models from the folder")
    remove.set_defaults(command=commands.remove_models)
    remove.add_argument("names", metavar="NAME", nargs="+")
    check = actions.add_parser("check", parents=[common], help="compare models with checksums")
    check.set_defaults(command=commands.check_models)
    check.add_argument("names", metavar="NAME", nargs="*", help="default: all on this computer")


def add_bundle(subparsers: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add ``gdla bundle``."""
    parser = subparsers.add_parser(
        "bundle",
        parents=[common],
        help="collect what a hospital without internet needs",
        description=_BUNDLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=commands.bundle)
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("-o", "--output", metavar="FOLDER", type=named_path, help="write it there")
    task.add_argument("--check", metavar="FOLDER", type=named_path, help="check the one in there")
    parser.add_argument(
        "--models",
        metavar="NAME",
        nargs="+",
        help="models to include (default: all that were downloaded or imported)",
    )
    parser.add_argument(
        "--platform",
        nargs="+",
        choices=PLATFORMS,
        default=["windows"],
        help="the kinds of computers to install on (default: windows)",
    )
    parser.add_argument(
        "--build",
        choices=FLAVOURS,
        default="cpu",
        help="of the engine: cpu (on Macs their GPU too), directml for any GPU under Windows, gpu "
        "for NVIDIA's, which is gigabytes (default: %(default)s)",
    )
    parser.add_argument(
        "--python",
        metavar="X.Y",
        type=_python,
        default=_SLICERS_PYTHON,
        help="the version of Slicer's Python (default: 3.12)",
    )
    wheels = parser.add_mutually_exclusive_group()
    wheels.add_argument(
        "--wheels", metavar="FOLDER", type=Path, help="take the wheels from there, if they fit"
    )
    wheels.add_argument(
        "--fetch-wheels", action="store_true", help="let pip download them, which needs a network"
    )
    parser.add_argument("--force", action="store_true", help="replace an older bundle")
    add_json(parser)


def _python(text: str) -> tuple[int, int]:
    if not re.fullmatch(r"3\.\d{1,2}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not like 3.12")
    return 3, int(text[2:])

"""The options of ``gdla finetune``."""

from __future__ import annotations

import argparse
from pathlib import Path

from GDLACore.cli import commands
from GDLACore.cli.options import add_card, positive_number

_FINETUNE = """\
Teach a model on cases whose segmentations have been corrected, and keep the result only if, on
cases that are held out, it is no worse than the model was.

FOLDER is what "Add to training set…" in 3D Slicer writes, or pairs of NAME.nrrd (or
.nii.gz, ...) and NAME.seg.nrrd. FOLDER and OUT stay on this computer.
"""


def add_finetune(subparsers: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser(
        "finetune",
        parents=[common],
        help="teach a model on corrected segmentations",
        description=_FINETUNE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=commands.finetune)
    parser.add_argument(
        "--model", required=True, help="a name that `gdla models` lists, or a model file"
    )
    add_card(parser)
    parser.add_argument("--cases", metavar="FOLDER", type=Path, required=True)
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, required=True)
    held_out = parser.add_mutually_exclusive_group()
    held_out.add_argument(
        "--hold-out",
        metavar="ID",
        nargs="+",
        help="the patients, or cases, to judge by; default: drawn with the seed",
    )
    held_out.add_argument(
        "--hold-out-slices",
        action="store_true",
        help="hold out the last slices of every case instead of patients, which says less",
    )
    parser.add_argument(
        "--hold-out-fraction",
        metavar="SHARE",
        type=_share,
        default=0.25,
        help="of the patients or slices (default: %(default)s)",
    )
    parser.add_argument(
        "--iterations", metavar="N", type=positive_number, default=300, help=_DEFAULT
    )
    parser.add_argument("--learning-rate", metavar="X", type=_share, default=1e-4, help=_DEFAULT)
    parser.add_argument("--batch", metavar="N", type=positive_number, default=8, help=_DEFAULT)
    parser.add_argument(
        "--patience",
        metavar="N",
        type=positive_number,
        default=4,
        help="looks at the held-out cases, one every 25 iterations, without a gain before "
        "stopping (default: %(default)s)",
    )
    parser.add_argument(
        "--tolerance",
        metavar="DICE",
        type=_share,
        default=0.02,
        help="how much of its Dice any structure may lose (default: %(default)s)",
    )
    parser.add_argument("--seed", metavar="N", type=_seed, default=42, help=_DEFAULT)
    parser.add_argument("--name", help="of the new model; default: that of MODEL with -finetuned")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--resume", action="store_true", help="go on with the training in OUT")
    parser.add_argument(
        "--force", action="store_true", help="save the result even if it is worse than the start"
    )


_DEFAULT = "default: %(default)s"


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to {2**31 - 1}")
    return int(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number between 0 and 1")
    return value

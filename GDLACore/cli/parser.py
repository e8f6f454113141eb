"""What can be typed after ``gdla``."""

from __future__ import annotations

import argparse
from pathlib import Path

from GDLACore import __version__
from GDLACore.cli import commands
from GDLACore.cli.batch_parser import add_batch
from GDLACore.cli.compare_parser import add_compare
from GDLACore.cli.evaluate_parser import add_evaluate
from GDLACore.cli.export_parser import add_export
from GDLACore.cli.finetune_parser import add_finetune
from GDLACore.cli.options import (
    add_card,
    add_choice_of_image,
    add_engine_options,
    add_json,
    add_labelling,
    add_server_options,
    named_path,
    positive_number,
    slice_range,
)
from GDLACore.cli.server_parser import add_server
from GDLACore.cli.storage_parsers import add_bundle, add_models
from GDLACore.cli.training_parsers import add_train

_EXIT_CODES = """\
exit codes:
  0    done
  1    an error, told in a sentence on stderr; no file is left half-written
  2    the command line cannot be understood
  130  stopped with Ctrl-C; no file is left half-written (129, 143: by SIGHUP, SIGTERM)
"""

_SEGMENT = """\
Segment an image and write the result on the grid of the image.

INPUT is a NIfTI, NRRD, MetaImage, PNG, JPEG, TIFF or DICOM file, or a folder with a DICOM series.
The ending of OUT chooses the format: .seg.nrrd is a segmentation for 3D Slicer with names, colours
and terminology; .nii.gz, .nii, .nrrd and .mha are plain label maps; .dcm, of DICOM images, is a
DICOM segmentation of the same patient and study.
"""

_IMAGE = "an image or a DICOM folder"

_CALIBRATE = """\
Find out how a model wants to be fed: try the 8 views of a slice and the usual intensity profiles on
one volume that shows what the model segments, compare the profile with what the model's weights say
about its training images, and on a CT judge whether its labels are where those organs lie.

VOLUME is an image as for `gdla segment`. Nothing is changed: give -o to write a card with what was
found. `gdla segment --card CARD.json` uses it; as FILE.card.json beside the checkpoint FILE.ckpt it
needs no naming.
"""


def command_line() -> argparse.ArgumentParser:
    """Return the parser; the parsed ``command`` is a function that takes the arguments."""
    parser = argparse.ArgumentParser(
        prog="gdla",
        description="Segment medical images with PVT-GDLA networks. Not for clinical use.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"gdla {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    common = _common()
    _add_segment(subparsers, common)
    add_batch(subparsers, common)
    _add_info(subparsers, common)
    add_export(subparsers, common, _EXIT_CODES)
    _add_calibrate(subparsers, common)
    add_models(subparsers, common)
    add_bundle(subparsers, common)
    _add_runtime(subparsers, common)
    add_server(subparsers, common)
    add_train(subparsers, common)
    add_evaluate(subparsers, common)
    add_compare(subparsers, common)
    add_finetune(subparsers, common)
    return parser


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--quiet", action="store_true", help="print nothing but errors")
    common.add_argument("--debug", action="store_true", help="show where an error arose")
    return common


def _add_segment(subparsers: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser(
        "segment",
        parents=[common],
        help="segment an image",
        description=_SEGMENT,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=commands.segment)
    parser.add_argument("input", metavar="INPUT", type=named_path, help=_IMAGE)
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, required=True)
    parser.add_argument(
        "--model",
        default="demo-ct",
        help="a name that `gdla models` lists, or a model file (default: %(default)s)",
    )
    add_card(parser)
    add_engine_options(parser)
    add_server_options(parser)
    parser.add_argument(
        "--slices",
        metavar="A:B",
        type=slice_range,
        default=(None, None),
        help="only slices A to B - 1, counted from 0 as stored; either may be left out",
    )
    add_choice_of_image(parser)
    add_labelling(parser)
    parser.add_argument("--batch", metavar="N", type=positive_number, help="slices at a time")
    parser.add_argument(
        "--overlay", metavar="PNG", type=Path, help="also draw the result over some slices"
    )
    parser.add_argument(
        "--confidence",
        metavar="FILE",
        type=Path,
        help="also write how sure the network is of every label, 1 to 100 percent, 0 in slices not "
        "asked for, as a .nrrd or .nii.gz image",
    )
    parser.add_argument(
        "--sr",
        metavar="DCM",
        type=Path,
        help="also write the volumes as a DICOM structured report (TID 1500) that refers to OUT, a "
        ".dcm file",
    )
    parser.add_argument(
        "--reference",
        metavar="FILE",
        type=Path,
        help="a label map to compare with; a .json file of the same name says what its values mean",
    )
    parser.add_argument("--force", action="store_true", help="replace existing output files")
    add_json(parser)


def _add_info(subparsers: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser(
        "info",
        parents=[common],
        help="describe an image, a checkpoint or a model",
        description="Describe an image, a DICOM folder, a checkpoint, a model card or a model.",
    )
    parser.set_defaults(command=commands.info)
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        type=named_path,
        help="a file, a folder or a model",
    )
    add_choice_of_image(parser)
    add_json(parser)


def _add_calibrate(subparsers: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser(
        "calibrate",
        parents=[common],
        help="find out how a model wants to be fed",
        description=_CALIBRATE,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=commands.calibrate)
    parser.add_argument(
        "model", metavar="MODEL", help="a name that `gdla models` lists, or a model file"
    )
    parser.add_argument("volume", metavar="VOLUME", type=named_path, help=_IMAGE)
    add_card(parser)
    add_engine_options(parser)
    add_choice_of_image(parser)
    parser.add_argument(
        "-o", "--output", metavar="CARD.json", type=Path, help="write the card as it was found"
    )
    parser.add_argument(
        "--sample",
        metavar="N",
        type=positive_number,
        default=12,
        help="slices to try every view and profile on (default: %(default)s)",
    )
    parser.add_argument("--force", action="store_true", help="replace an existing card")
    add_json(parser)


def _add_runtime(subparsers: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser(
        "runtime",
        parents=[common],
        help="say which ONNX Runtime to install on this computer",
        description="Say which build of ONNX Runtime suits this computer, why, what it costs to "
        "get, and whether the installed one is whole. Installs nothing.",
    )
    parser.set_defaults(command=commands.runtime)
    add_json(parser)

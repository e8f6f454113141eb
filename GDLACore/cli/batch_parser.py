"""What can be typed after ``gdla batch``."""

from __future__ import annotations

import argparse

from GDLACore.cli import commands
from GDLACore.cli.options import (
    add_card,
    add_engine_options,
    add_json,
    add_labelling,
    add_server_options,
    named_path,
    positive_number,
)

# That of GDLACore.cohort, which it would take too long to import for --help.
FORMATS = ("seg.nrrd", "nii.gz", "nrrd", "dcm")

_DESCRIPTION = """\
Segment many studies: image files, and all images in folders and the folders in them. Of DICOM
folders every series of images is a study.

FOLDER gets segmentations/, manifest.jsonl with a line for every study (status, seconds, volumes,
hashes, error), and qc.html, a page with a picture of every study, the most doubtful first. A study
that cannot be segmented is recorded and the others go on. A run that was stopped or killed goes on
where it was when the command is given again; studies that failed are tried again.
"""

_EXIT_CODES = """\
exit codes:
  0    all studies are segmented
  1    a study failed, or an error, told in a sentence on stderr
  2    the command line cannot be understood
  130  stopped with Ctrl-C; give the command again to go on (129, 143: by SIGHUP, SIGTERM)
"""


def add_batch(subparsers: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "batch",
        parents=[common],
        help="segment many studies",
        description=_DESCRIPTION,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=commands.batch)
    parser.add_argument(
        "inputs", metavar="IN", nargs="+", type=named_path, help="files and folders with images"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        type=named_path,
        required=True,
        help="for the results: new, empty, or of a run to go on with",
    )
    parser.add_argument(
        "--model",
        default="demo-ct",
        help="a name that `gdla models` lists, or a model file (default: %(default)s)",
    )
    add_card(parser)
    add_engine_options(parser)
    add_server_options(parser)
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="have a Ray cluster do the work; FOLDER and IN must be the same on all its nodes",
    )
    parser.add_argument(
        "--ray-workers",
        metavar="N",
        type=positive_number,
        help="of the cluster take no more than N workers (default: as many as find a place)",
    )
    add_labelling(parser)
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="seg.nrrd",
        help="of the segmentations: for 3D Slicer with names and colours, plain label maps, or "
        "DICOM, which needs DICOM images (default: %(default)s)",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace results in FOLDER that were made with other settings or of other images",
    )
    add_json(parser)

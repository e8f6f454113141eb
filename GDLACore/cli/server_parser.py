"""What can be typed after ``gdla server``."""

from __future__ import annotations

import argparse

from GDLACore.cli import commands
from GDLACore.cli.options import TOKEN_VARIABLE, add_ca_file, add_json

_DESCRIPTION = f"""\
Say whether a server of the Open Inference Protocol (KServe v2), such as NVIDIA Triton, can be used:
how long it takes to answer and which models it has. `gdla segment --server URL` uses it. A token,
where it wants one, is taken from the environment variable {TOKEN_VARIABLE}.
"""

_EXIT_CODES = """\
exit codes:
  0    the server answers, whatever it has
  1    it does not, or cannot be used, told in a sentence on stderr
  2    the command line cannot be understood
  130  stopped with Ctrl-C (129, 143: by SIGHUP, SIGTERM)
"""


def add_server(subparsers: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "server",
        parents=[common],
        help="say whether a server can be used and what it has",
        description=_DESCRIPTION,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=commands.server, fall_back=False)
    parser.add_argument("server", metavar="URL", help="such as https://gpu.hospital.org")
    add_ca_file(parser)
    add_json(parser)

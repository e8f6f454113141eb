"""The server of remote.py: prints its address as JSON when it is ready, and ends with its input.

A process of its own, so that it can run at the other end of a cable.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Testing/servers")]

from real_triton import start_triton  # noqa: E402


def main() -> None:
    """Serve until there is nothing more to read."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repository", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="for its log and its parts")
    parser.add_argument("--host", required=True)
    arguments = parser.parse_args()
    arguments.folder.mkdir()
    with start_triton(arguments.repository, arguments.folder, host=arguments.host) as triton:
        print(json.dumps(triton.url), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()

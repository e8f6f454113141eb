"""What goes wrong with a server, what the user sees of it, how long that takes, what is lost.

    python Testing/bench/remote_faults.py --docs

Where nothing else is said the server is NVIDIA's tritonserver. Losing packets takes an
administrator on Linux. Takes about four minutes.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [
    str(ROOT),
    *(str(ROOT / "Testing" / name) for name in ("core", "faults", "servers")),
]

from department import export_for_server, patient, segmented  # noqa: E402
from real_triton import start_triton  # noqa: E402
from remote import PAGE  # noqa: E402
from remote_fault_cases import ALL, Fault, Outcome, Setting  # noqa: E402
from report import add_report_arguments, heading, publish  # noqa: E402
from tiny_model import write_tiny_model  # noqa: E402

from GDLACore.remote import RemoteServer  # noqa: E402


def main() -> None:
    """Bring about, print and save."""
    arguments = _arguments()
    result = heading(arguments, "remote-faults", PAGE)
    chosen = [fault for fault in ALL if arguments.only in fault.name]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = write_tiny_model(folder / "tiny.onnx")
        repository = export_for_server(model, folder / "models")
        volume = patient(0)
        with start_triton(repository, folder) as triton:
            right = segmented(volume, model, RemoteServer(triton.url))
        assert right.error is None, right.sentence
        result["faults"] = [
            {"fault": fault.name, "how": fault.how, **dataclasses.asdict(outcome)}
            for number, fault in enumerate(chosen)
            for setting in [Setting(model, repository, volume, right.labels, folder / str(number))]
            for outcome in [_outcome(fault, setting)]
        ]
    publish(arguments, result, _lines(result), PAGE)


def _outcome(fault: Fault, setting: Setting) -> Outcome:
    print(f"{fault.name} …", file=sys.stderr)
    setting.folder.mkdir()
    return fault.bring_about(setting)


def _lines(result: dict[str, Any]) -> list[str]:
    header = ("fault", "how it is brought about", "what the user sees", "after, s", "slices")
    rows = [
        (f["fault"], f["how"], _cell(f["seen"]), f"{f['seconds']:.1f}", f["slices"])
        for f in result["faults"]
    ]
    return [
        f"| {' | '.join(header)} |",
        "|---|---|---|---:|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _cell(text: str) -> str:
    """Return ``text`` fit for a table: without the port of this one run."""
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8000", text).replace("|", "\\|")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="faults with these words in their names")
    add_report_arguments(parser, "remote-faults")
    return parser.parse_args()


if __name__ == "__main__":
    main()

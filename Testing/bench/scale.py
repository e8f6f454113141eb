"""What a million studies cost: one study is measured, GPUs are assumed, and a site is simulated.

    python Testing/bench/scale.py --docs

Measured here, on one core: the steps of ``gdla batch`` for a CT study from DICOM. Assumed, because
there was no GPU: how many slices a second one takes, and the rates of disk and bus. The site is
scale_simulation.py.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from fresh import run_fresh  # noqa: E402
from report import add_report_arguments, heading, publish, table  # noqa: E402
from scale_series import write_compressed, write_plain  # noqa: E402
from scale_simulation import Visit, simulate, slices_of_studies  # noqa: E402

PAGE = ROOT / "docs/scale.md"

# A GPU's slices a second, network and labels: assumptions, derived on the page.
GPUS = {"500": 500.0, "2,500": 2500.0, "8,000": 8000.0}
GPU_COUNTS = (1, 8, 64)
STUDIES = 1_000_000
MEAN_SLICES, SPREAD = 300, 0.6
CORES_PER_GPU = 16
STORAGE_BYTES = 2e9  # a second, of the whole site
BUS_BYTES = 12e9  # a second, of each GPU

# Per slice to and from the GPU, as served models take and give them: int16 and uint8.
_SIDE, _ROWS = 224, 512
BUS_BYTES_PER_SLICE = 2 * _SIDE**2 + _ROWS**2 + 2 * _SIDE**2

# What a GPU is given beyond its need, and studies under way for each core.
MARGINS, IN_FLIGHT = (1.0, 1.1, 1.25, 1.5), (1, 2, 4)
_MARGIN_SPEED = "2,500"

_OUTPUT = "dcm"
FORMS = {"compressed": "JPEG 2000", "plain": "uncompressed"}
BEFORE = ("hashing, {form}", "reading, {form}", "preparing", "storing")
AFTER = ("writing {output}", "picture")

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}
_HOUR, _DAY = 3600.0, 86400.0


def main() -> None:
    """Measure, simulate, print and save."""
    arguments = _arguments()
    result = heading(arguments, "scale", PAGE)
    result |= _measured(arguments)
    result["sites"] = _sites(result, arguments)
    result["margins"] = _margins(result)
    publish(arguments, result, _lines(result), PAGE)


def _measured(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return seconds of a core and bytes, both per slice."""
    runs = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compressed, plain = folder / "compressed", folder / "plain"
        write_compressed(compressed, arguments.slices)
        write_plain(plain, compressed)
        options = ["--compressed", compressed, "--plain", plain, "--output", folder]
        for number in range(arguments.runs):
            print(f"run {number + 1} of {arguments.runs}", file=sys.stderr)
            model = ["--model", arguments.images_model]
            runs.append(run_fresh("scale_run.py", *model, *options, **_ONE_THREAD))
    seconds = {
        stage: statistics.median(run["seconds"][stage] for run in runs) / arguments.slices
        for stage in runs[0]["seconds"]
    }
    only = ["--model", arguments.model, "--network-only"]
    seconds |= run_fresh("scale_run.py", *only, **_ONE_THREAD)
    size = {form: total / arguments.slices for form, total in runs[0]["bytes"].items()}
    return {"seconds": seconds, "bytes": size}


def _core_seconds(seconds: Mapping[str, float], steps: tuple[str, ...], form: str) -> float:
    return sum(seconds[step.format(form=form, output=_OUTPUT)] for step in steps)


def _route(
    result: Mapping[str, Any], form: str, speed: float, storage: float = STORAGE_BYTES
) -> list[Visit]:
    """Return a study's way through a site: GPUs of ``speed`` slices a second, ``storage`` bytes."""
    seconds, size = result["seconds"], result["bytes"]
    return [
        Visit("storage", size[form] / storage),
        Visit("cores", _core_seconds(seconds, BEFORE, form)),
        Visit("bus", BUS_BYTES_PER_SLICE / BUS_BYTES),
        Visit("GPUs", 1 / speed),
        Visit("cores", _core_seconds(seconds, AFTER, form)),
        Visit("storage", size[_OUTPUT] / storage),
    ]


def _sites(result: Mapping[str, Any], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    sites = []
    for count in GPU_COUNTS:
        cores = count * CORES_PER_GPU
        servers = {"storage": 1, "cores": cores, "bus": count, "GPUs": count}
        # So many that filling and emptying the site does not count.
        studies = slices_of_studies(max(arguments.studies, 20 * cores), MEAN_SLICES, SPREAD, 0)
        scale = STUDIES * MEAN_SLICES / sum(studies)
        for speed in GPUS:
            for form in FORMS:
                outcome = simulate(servers, _route(result, form, GPUS[speed]), studies, 2 * cores)
                sites.append(
                    {
                        "gpus": count,
                        "speed": speed,
                        "form": form,
                        "days": outcome.seconds * scale / _DAY,
                        "bottleneck": outcome.bottleneck,
                        "gpu_use": outcome.utilisation["GPUs"],
                    }
                )
    return sites


def _margins(result: Mapping[str, Any]) -> list[dict[str, float]]:
    """Return how well one GPU is used with more than it needs, and with more studies under way."""
    speed, form = GPUS[_MARGIN_SPEED], "compressed"
    cores = speed * _core_seconds(result["seconds"], (*BEFORE, *AFTER), form)
    storage = speed * (result["bytes"][form] + result["bytes"][_OUTPUT])
    margins = []
    for more in MARGINS:
        servers = {"storage": 1, "cores": round(more * cores), "bus": 1, "GPUs": 1}
        studies = slices_of_studies(60 * servers["cores"], MEAN_SLICES, SPREAD, 0)
        route = _route(result, form, speed, more * storage)
        for places in IN_FLIGHT:
            outcome = simulate(servers, route, studies, places * servers["cores"])
            use = outcome.utilisation["GPUs"]
            margins.append({"more": more, "places": places, "use": use})
    return margins


def _lines(result: Mapping[str, Any]) -> list[str]:
    """Return everything as Markdown."""
    return [
        "One slice of 512 x 512 on one core:",
        "",
        *_costs(result),
        "",
        f"{STUDIES:,} studies of {MEAN_SLICES} slices:",
        "",
        *_totals(result),
        "",
        f"Days for them at a site with {CORES_PER_GPU} cores per GPU and {STORAGE_BYTES / 1e9:g} "
        "GB/s of storage, simulated; in brackets what they wait for, and the GPUs' use:",
        "",
        *_simulated(result),
        "",
        "What one GPU needs to be the bottleneck itself:",
        "",
        *_needs(result),
        "",
        f"How well one of {_MARGIN_SPEED} slices/s is used with so much more cores and storage "
        "(JPEG 2000), and so many studies under way for each core, simulated:",
        "",
        *_used(result),
    ]


def _costs(result: Mapping[str, Any]) -> list[str]:
    seconds, size = result["seconds"], result["bytes"]
    rows = [[stage, f"{1e3 * value:.2f}"] for stage, value in seconds.items()]
    kilobytes = [
        [f"KB, {name}", f"{value / 1e3:.0f}"]
        for name, value in (*size.items(), ("to and from a GPU", BUS_BYTES_PER_SLICE))
    ]
    return table(["step", "ms or KB"], [*rows, *kilobytes])


def _totals(result: Mapping[str, Any]) -> list[str]:
    seconds, size = result["seconds"], result["bytes"]
    slices = STUDIES * MEAN_SLICES
    rows = []
    for form, name in FORMS.items():
        around = _core_seconds(seconds, (*BEFORE, *AFTER), form)
        alone = around + seconds["network"] + seconds["labels"]
        rows.append(
            [
                name,
                f"{size[form] * slices / 1e12:.0f}",
                f"{size[_OUTPUT] * slices / 1e12:.1f}",
                f"{size['seg.nrrd'] * slices / 1e12:.1f}",
                f"{around * slices / _HOUR:,.0f}",
                f"{alone * slices / _HOUR:,.0f}",
            ]
        )
    hours = ", ".join(f"{slices / GPUS[s] / _HOUR:,.0f} at {s} slices/s" for s in GPUS)
    header = ["images", "TB in", "TB out, dcm", "TB out, seg.nrrd", "core-hours", "without a GPU"]
    return [*table(header, rows), "", f"GPU-hours: {hours}."]


def _simulated(result: Mapping[str, Any]) -> list[str]:
    found = {(s["gpus"], s["speed"], s["form"]): s for s in result["sites"]}
    rows = []
    for count in GPU_COUNTS:
        for speed in GPUS:
            cells = [found[count, speed, form] for form in FORMS]
            rows.append(
                [
                    f"{count} of {speed} slices/s",
                    *(f"{c['days']:.1f} ({c['bottleneck']}, {c['gpu_use']:.0%})" for c in cells),
                ]
            )
    return table(["GPUs", *FORMS.values()], rows)


def _needs(result: Mapping[str, Any]) -> list[str]:
    seconds, size = result["seconds"], result["bytes"]
    rows = []
    for name, speed in GPUS.items():
        for form, spoken in FORMS.items():
            rows.append(
                [
                    f"{name} slices/s, {spoken}",
                    f"{speed * _core_seconds(seconds, (*BEFORE, *AFTER), form):.0f}",
                    f"{speed * size[form] / 1e6:,.0f}",
                    f"{speed * size[_OUTPUT] / 1e6:,.0f}",
                    f"{speed * BUS_BYTES_PER_SLICE / 1e9:.2f}",
                ]
            )
    return table(["one GPU", "cores", "MB/s in", "MB/s out", "bus or network, GB/s"], rows)


def _used(result: Mapping[str, Any]) -> list[str]:
    use = {(m["more"], m["places"]): m["use"] for m in result["margins"]}
    rows = [[f"{m - 1:+.0%}", *(f"{use[m, places]:.0%}" for places in IN_FLIGHT)] for m in MARGINS]
    return table(["more", *map(str, IN_FLIGHT)], rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--slices", type=int, default=40)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--studies", type=int, default=5000, help="simulated, at least")
    parser.add_argument("--model", default="golden-b2", help="whose network is measured")
    parser.add_argument("--images-model", default="demo-ct", help="whose labels are written")
    add_report_arguments(parser, "scale")
    return parser.parse_args()


if __name__ == "__main__":
    main()

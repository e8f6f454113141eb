"""The faults of remote_faults.py: how each is brought about.

Servers, links and laptops are those of the tests in Testing/servers. Time-outs are as users have
them.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from department import export_for_server, segmented, write_retrained_model
from fresh import BENCH, environment
from inference_server import Behaviour, inference_server, whole
from link import linked
from real_triton import start_triton
from remote import serving
from served_network import Reply, ServedNetwork
from server_faults import altered, status
from shaped_link import SERVER, shaped_link

from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.options import SegmentOptions
from GDLACore.remote import RemoteServer
from GDLACore.weights.identified import load_identified
from GDLACore.worker import ModelRequest, SlicesDone, Stopped, WorkerClient

TLS = Path(__file__).resolve().parents[1] / "servers" / "tls"
_LOST_IN_100 = 1
_MBIT_PER_S = 100
_LOSSY_SLICES = 200


@dataclass(frozen=True, eq=False)
class Setting:
    """A model and its repository, a volume, and an empty folder for what a server needs.

    ``right`` is what a laptop gets of the volume when nothing goes wrong at a real server.
    """

    model: Path
    repository: Path
    volume: Volume
    right: np.ndarray
    folder: Path


@dataclass(frozen=True)
class Outcome:
    """What the user sees, seconds from the fault to the end, and what has become of the slices."""

    seen: str
    seconds: float
    slices: str


@dataclass(frozen=True)
class Fault:
    name: str
    how: str
    bring_about: Callable[[Setting], Outcome]


def killed(setting: Setting) -> Outcome:
    with start_triton(setting.repository, setting.folder) as triton:
        return _outcome(setting, RemoteServer(triton.url), triton.kill)


def killed_and_falling_back(setting: Setting) -> Outcome:
    with start_triton(setting.repository, setting.folder) as triton:
        server = RemoteServer(triton.url, fall_back=True)
        return _outcome(setting, server, triton.kill, least_same=0.999)


def restarted(setting: Setting) -> Outcome:
    return _started_again(setting, setting.repository)


def restarted_with_other_weights(setting: Setting) -> Outcome:
    other = write_retrained_model(setting.folder / "retrained.onnx")
    return _started_again(setting, export_for_server(other, setting.folder / "models"))


def not_there(setting: Setting) -> Outcome:
    with start_triton(setting.repository, setting.folder) as triton:
        triton.kill()
        return _outcome(setting, RemoteServer(triton.url))


def slow(setting: Setting) -> Outcome:
    with start_triton(setting.repository, setting.folder) as triton, linked(triton.port) as link:
        link.delay_s = 0.25
        return _outcome(setting, RemoteServer(link.url))


def broken(after: int, how: str) -> Callable[[Setting], Outcome]:
    """Return what happens when the connection breaks in an answer; see ``link.Break``."""

    def bring_about(setting: Setting) -> Outcome:
        folder = setting.folder
        with start_triton(setting.repository, folder) as triton, linked(triton.port) as link:
            server = RemoteServer(link.url)
            return _outcome(setting, server, lambda: link.break_after(after, how))

    return bring_about


def certificate(name: str, authority: Path) -> Callable[[Setting], Outcome]:
    """Return what happens when a server has the certificate of another, or an old one."""

    def bring_about(setting: Setting) -> Outcome:
        with start_triton(setting.repository, setting.folder) as triton:
            with linked(triton.port, TLS / name) as link:
                return _outcome(setting, RemoteServer(link.url, ca_file=str(authority)))

    return bring_about


def answered(behaviours: list[Behaviour]) -> Callable[[Setting], Outcome]:
    """Return what happens when a server answers with ``behaviours`` after four right answers.

    It is one of our own, which takes bands of grey for structures.
    """

    def bring_about(setting: Setting) -> Outcome:
        with inference_server(ServedNetwork(_card(setting))) as server:
            right = segmented(setting.volume, setting.model, RemoteServer(server.url))
            server.script = [*[whole] * 4, *behaviours]
            own = dataclasses.replace(setting, right=right.labels)
            return _outcome(own, RemoteServer(server.url))

    return bring_about


def missing(setting: Setting) -> Outcome:
    other = dataclasses.replace(_card(setting), name="thorax")
    with inference_server(ServedNetwork(other)) as server:
        return _outcome(setting, RemoteServer(server.url))


def other_card(setting: Setting) -> Outcome:
    card = dataclasses.replace(_card(setting), version="2.0")
    with inference_server(ServedNetwork(card)) as server:
        return _outcome(setting, RemoteServer(server.url))


def lossy(setting: Setting) -> Outcome:
    """Return what happens on a cable that loses packets, against one that does not."""
    seconds, checksums = [], []
    for lost in (0, _LOST_IN_100):
        with (
            shaped_link(_MBIT_PER_S, lost) as link,
            serving(setting.repository, setting.folder / str(lost), SERVER, link.server) as url,
        ):
            laptop = _lossy_laptop(setting.model, url, link.client)
        seconds.append(laptop["arrivals"][-1] - laptop["begin"])
        checksums.append(laptop["checksum"])
    slices = f"all {_LOSSY_SLICES}" if checksums[0] == checksums[1] else "WRONG"
    return Outcome(f"nothing; {seconds[0]:.1f} s without losses", seconds[1], slices)


def cancelled(setting: Setting) -> Outcome:
    """Return what happens when the user cancels while a server says nothing more."""
    options, client = SegmentOptions(borders="smooth"), WorkerClient()
    with start_triton(setting.repository, setting.folder) as triton:
        with linked(triton.port) as link:
            model = ModelRequest(str(setting.model), server=RemoteServer(link.url))
            client.segment(setting.volume, model, options)
            _heard(client, SlicesDone)
            link.delay_s = 3600.0
            begin = time.perf_counter()
            client.cancel()
            _heard(client, Stopped)
            seconds = time.perf_counter() - begin
            client.close()
    return Outcome("it stops", seconds, "those that came are kept")


def _card(setting: Setting) -> ModelCard:
    """Return the card with the hash of the weights, as a server tells it."""
    return load_identified(setting.model, None).card


def _heard(client: WorkerClient, kind: type) -> None:
    while not any(isinstance(event, kind) for event in client.poll()):
        time.sleep(0.005)


def _lossy_laptop(model: Path, url: str, prefix: tuple[str, ...]) -> dict[str, object]:
    command = [
        *(*prefix, sys.executable, str(BENCH / "remote_client_run.py"), "--model", str(model)),
        *("--server", url, "--depth", str(_LOSSY_SLICES), "--number", "0"),
    ]
    done = subprocess.run(
        command,
        check=True,
        input="go\n",
        stdout=subprocess.PIPE,
        text=True,
        env=environment(no_proxy="*"),
    )
    return json.loads(done.stdout.splitlines()[-1])


def _started_again(setting: Setting, repository: Path) -> Outcome:
    servers = [start_triton(setting.repository, setting.folder)]

    def again() -> None:
        servers[0].kill()
        servers.append(start_triton(repository, setting.folder, servers[0].port))

    try:
        return _outcome(setting, RemoteServer(servers[0].url), again)
    finally:
        for server in servers:
            server.stop()


def _outcome(
    setting: Setting,
    server: RemoteServer,
    fault: Callable[[], object] = lambda: None,
    least_same: float = 1.0,
) -> Outcome:
    """Return what a laptop sees of ``fault``.

    ``least_same`` is the part of the labels that must be those of an undisturbed server: where this
    computer finds some itself, the rounding of what travels makes a difference.
    """
    seen = segmented(setting.volume, setting.model, server, fault)
    came, count = list(seen.slices), len(setting.volume.array)
    same = (seen.labels[came] == setting.right[came]).mean() if came else 1.0
    kept = f"all {count}" if len(came) == count else f"{len(came)} of {count} kept"
    return Outcome(seen.sentence, seen.fault_s, kept if same >= least_same else f"{kept}, WRONG")


def _nan(reply: Reply) -> None:
    reply.outputs["finite"][:] = 0


def _smaller(reply: Reply) -> None:
    reply.outputs["labels"] = reply.outputs["labels"][:, 1:]


def _other_version(reply: Reply) -> None:
    reply.head["model_version"] = "2"


_OURS = TLS / "authority.pem"
_OTHERS = TLS.parents[1] / "tls" / "authority.pem"

ALL = (
    Fault("server killed", "SIGKILL amid the volume", killed),
    Fault("the same, falling back allowed", "SIGKILL amid the volume", killed_and_falling_back),
    Fault("server restarted", "SIGKILL amid the volume, then started again", restarted),
    Fault(
        "restarted with other weights",
        "the same, with a model of the same name and structures",
        restarted_with_other_weights,
    ),
    Fault("server not there", "nobody listens at the port", not_there),
    Fault("slow", "every answer 0.5 s late", slow),
    Fault("server busy for a while", "five answers are HTTP 503", answered([status(503)] * 5)),
    Fault("server busy", "from the fifth answer on HTTP 503", answered([status(503)] * 100_000)),
    Fault("NaN", "the network's results are not finite", answered([altered(_nan)])),
    Fault("wrong shape", "labels lack a row", answered([altered(_smaller)])),
    Fault("other version", "an answer is of version 2", answered([altered(_other_version)])),
    Fault("other card", "the server's card is of version 2.0", other_card),
    Fault("model missing", "the server has another", missing),
    Fault("connection reset", "RST in an answer", broken(200, "reset")),
    Fault(
        "half-closed socket", "FIN in an answer, which goes no further", broken(200, "half_close")
    ),
    Fault("silent connection", "nothing passes any more", broken(200, "stall")),
    Fault("packet loss", f"{_LOST_IN_100} % each way, {_MBIT_PER_S} Mbit/s", lossy),
    Fault("certificate of another authority", "TLS", certificate("server.pem", _OTHERS)),
    Fault("expired certificate", "TLS", certificate("expired.pem", _OURS)),
    Fault("certificate of another host", "TLS", certificate("other_host.pem", _OURS)),
    Fault("cancelled while the server hangs", "nothing passes any more", cancelled),
)

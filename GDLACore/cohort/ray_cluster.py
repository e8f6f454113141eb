"""A Ray cluster: being connected to it, and what of its nodes a worker takes."""

from __future__ import annotations

import importlib
import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

from GDLACore.cohort.settings import BatchSettings
from GDLACore.errors import EngineError, WorkerError

_LISTENING_S = 5.0  # until somebody must be heard to listen
_CONNECTED_S = 60.0  # until the connection must stand
_ON_NVIDIA = ("cuda", "tensorrt")


def check_cluster(address: str) -> None:
    """Raise EngineError if Ray is not installed, WorkerError if nobody listens at ``address``.

    ``address`` is HOST:PORT of a cluster's head, or "auto" for the one in RAY_ADDRESS, or that of
    this computer's cluster.
    """
    ray = _module()
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or address
    if address == "auto":
        try:
            address = ray._private.services.canonicalize_bootstrap_address(address)
        except ConnectionError as error:
            raise WorkerError(
                "No Ray cluster runs on this computer.",
                "Start one with `ray start --head`, or give HOST:PORT of another one's head.",
            ) from error
    _check_address(ray, address)


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Yield the module ``ray``, connected to the cluster at ``address`` for the ``with`` block.

    Raises as ``check_cluster`` does, and WorkerError if the cluster cannot be used.
    """
    check_cluster(address)
    ray = _module()
    _connect(ray, address)
    try:
        # Ray tells there of every worker that is lost, but it belongs to the program's own result.
        with redirect_stdout(sys.stderr):
            yield ray
    finally:
        ray.shutdown()


def _module() -> Any:
    # Ray looks at it when it connects: what a user says of it holds, and else nothing is sent.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise EngineError(
            "Ray, which distributes the studies, is not installed.",
            'Install it with pip install "GDLACore[ray]", or leave out --ray.',
        ) from error


def _connect(ray: Any, address: str) -> None:
    """Connect to a cluster in a thread: Ray may try for many minutes, and hear no Ctrl+C then.

    Nor does it take the place of the program's own handler of SIGTERM there.
    """
    failures: list[Exception] = []

    def connect() -> None:
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # of many kinds
            failures.append(error)

    thread = threading.Thread(target=connect, name="connecting to Ray", daemon=True)
    thread.start()
    thread.join(_CONNECTED_S)
    if not thread.is_alive() and not failures:
        return
    reason = _first_line(failures[0]) if failures else f"no answer within {_CONNECTED_S:g} s"
    raise WorkerError(
        f"The Ray cluster ({address}) cannot be used: {reason}.",
        "Give this command on one of the cluster's nodes, with its versions of Python and Ray.",
    ) from (failures[0] if failures else None)


def _check_address(ray: Any, address: str) -> None:
    """Raise WorkerError if nobody listens at ``address``: Ray itself would go on trying."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or int(port) > 65535:
        raise WorkerError(
            f"{address} is no address of a Ray cluster.",
            "Give HOST:PORT of its head, or auto on one of its nodes.",
        )
    if host in ("localhost", "127.0.0.1", "[::1]"):
        host = ray.util.get_node_ip_address()  # where Ray looks for it, too
    try:
        socket.create_connection((host.strip("[]"), int(port)), _LISTENING_S).close()
    except OSError as error:
        raise WorkerError(
            f"No Ray cluster answers at {host}:{port} ({error.strerror or error}).",
            "Start one with `ray start --head`, or check the address.",
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".:")


@dataclass(frozen=True)
class Share:
    """The cores and NVIDIA GPUs that a worker has to itself."""

    cores: int
    gpus: int

    def __str__(self) -> str:
        cores = f"{self.cores} CPU cores" if self.cores > 1 else "1 CPU core"
        return f"{cores} and a GPU" if self.gpus else cores

    def places(self, ray: Any) -> int:
        """Return how many workers the nodes that are alive have room for."""
        return sum(self._places(node) for node in _nodes(ray))

    def _places(self, node: dict[str, float]) -> int:
        by_cores = int(node.get("CPU", 0) // self.cores)
        return min(by_cores, int(node.get("GPU", 0) // self.gpus)) if self.gpus else by_cores


def share_of(settings: BatchSettings, ray: Any) -> Share:
    """Return what each worker gets: a GPU where one is asked for, or any node has one.

    All get the same, for processors of different kinds may differ in single voxels.
    """
    on_gpu = settings.device in _ON_NVIDIA or (
        settings.device == "auto" and any(node.get("GPU", 0) >= 1 for node in _nodes(ray))
    )
    return Share(settings.threads or 1, int(on_gpu and settings.server is None))


def _nodes(ray: Any) -> list[dict[str, float]]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]

"""What docs/server.md tells administrators to copy: it does what the page says."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("requests")
pytest.importorskip("yaml")

import requests
import yaml
from real_triton import HOST, free_port

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/server.md").read_text("utf-8")
TLS = ROOT / "Testing/tls"

_PATIENCE_S = 60.0
_PAUSE_S = 0.05


def example(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return text


class Everything(BaseHTTPRequestHandler):
    """A server that answers whatever it is asked, and remembers who asked what."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str | None]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers["Authorization"]))
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def behind() -> Iterator[int]:
    """The port of a server that hides nothing."""
    with ThreadingHTTPServer((HOST, 0), Everything) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def proxy(behind: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an nginx with the example of the page before that server."""
    nginx = shutil.which("nginx")
    if nginx is None:
        pytest.skip("nginx is not installed")
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    text = example("nginx").replace("listen 443", f"listen {HOST}:{port}")
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{behind}")
    for ending in ("pem", "key"):
        text = text.replace(f"/etc/nginx/gdla/server.{ending}", str(TLS / "server.pem"))
    temporary = "\n".join(
        f"{name}_temp_path {folder}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log;\nevents {{}}\n"
        f"http {{ access_log {folder}/access.log;\n{temporary}\n{text}}}\n",
        "utf-8",
    )
    process = subprocess.Popen(
        [nginx, "-c", str(config), "-e", f"{folder}/error.log"], stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(process, port, folder / "error.log")
        yield f"https://{HOST}:{port}"
    finally:
        process.terminate()
        process.wait(_PATIENCE_S)


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        with socket.socket() as client:
            if client.connect_ex((HOST, port)) == 0:
                return
        try:
            process.wait(_PAUSE_S)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(log.read_text("utf-8"))


def asked(address: str, path: str, token: str | None, method: str = "GET") -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    with requests.Session() as session:
        session.trust_env = False
        response = session.request(
            method,
            f"{address}{path}",
            headers=headers,
            data=b"{}" if method == "POST" else None,
            verify=str(TLS / "authority.pem"),
            timeout=_PATIENCE_S,
        )
    return response.status_code


def token() -> str:
    (found,) = re.findall(r'"Bearer ([0-9a-f]{64})" 1;', PAGE)
    return found


OPEN = [
    ("GET", "/v2"),
    ("GET", "/v2/health/ready"),
    ("POST", "/v2/repository/index"),
    ("GET", "/v2/models/demo-ct"),
    ("GET", "/v2/models/demo-ct/config"),
    ("GET", "/v2/models/demo-ct/versions/1"),
    ("POST", "/v2/models/demo-ct/infer"),
    ("POST", "/v2/models/demo-ct/versions/1/infer"),
]
CLOSED = [
    ("POST", "/v2/repository/models/demo-ct/load"),
    ("POST", "/v2/repository/models/demo-ct/unload"),
    ("POST", "/v2/systemsharedmemory/region/x/register"),
    ("POST", "/v2/logging"),
    ("POST", "/v2/trace/setting"),
    ("POST", "/v2/models/demo-ct/trace/setting"),
    ("GET", "/metrics"),
    ("GET", "/"),
]


@pytest.mark.parametrize(("method", "path"), OPEN)
def test_what_clients_ask_passes_with_the_token_only(proxy, method, path):
    assert asked(proxy, path, token(), method) == 200
    for wrong in (None, "", "0" * 64, token()[:-1], token() + "0"):
        assert asked(proxy, path, wrong, method) == 401


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_what_would_change_the_server_does_not_pass(proxy, method, path):
    before = len(Everything.seen)
    assert asked(proxy, path, token(), method) == 404
    assert len(Everything.seen) == before


def test_the_token_stays_at_the_proxy(proxy):
    assert asked(proxy, "/v2", token()) == 200
    assert {authorization for _, authorization in Everything.seen} == {None}


def test_all_examples_run_the_same_version_of_the_server():
    service = yaml.safe_load(example("yaml"))
    version = service["spec"]["predictor"]["model"]["runtimeVersion"]
    assert set(re.findall(r"tritonserver:(\S+)", PAGE)) == {version}


def test_the_manifest_asks_for_as_much_as_it_limits():
    model = yaml.safe_load(example("yaml"))["spec"]["predictor"]["model"]
    assert model["resources"]["requests"] == model["resources"]["limits"]
    assert model["modelFormat"]["name"] == "triton"

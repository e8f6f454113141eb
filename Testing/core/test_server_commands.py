"""``gdla segment --server`` and ``gdla server``: which server is asked, and with what words."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import pytest
import SimpleITK as sitk
from command_line import run_gdla
from phantom import make_card
from server_engine import ServerEngine

from GDLACore.cli import main, stored_model
from GDLACore.cli import segment as segment_command
from GDLACore.cli import server as server_command
from GDLACore.errors import ModelFileError, ServerError
from GDLACore.remote import RemoteServer, ServedModel, ServerReport
from GDLACore.storage import ABSENT, DAMAGED, READY, StoredModel

URL = "https://gpu.hospital.org"


class Loader:
    """Takes the place of ``load_engine`` and keeps how it was called."""

    def __init__(self) -> None:
        self.models: list[str] = []
        self.servers: list[RemoteServer | None] = []

    def __call__(self, model: str, *, server: RemoteServer | None, **_: object) -> ServerEngine:
        self.models.append(model)
        self.servers.append(server)
        return ServerEngine(make_card())


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> Loader:
    loader = Loader()
    monkeypatch.setattr(segment_command, "load_engine", loader)
    monkeypatch.delenv("GDLA_SERVER_TOKEN", raising=False)
    return loader


def test_a_server_segments_what_this_computer_would(tmp_path, ct, loader, capsys):
    out = tmp_path / "o.seg.nrrd"
    assert run_gdla("segment", ct, "-o", out, "--model", "only-there", "--server", URL) == 0
    assert (loader.models, loader.servers) == (["only-there"], [RemoteServer(URL)])
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(out))).sum() == 8
    assert "liver" in capsys.readouterr().out


def test_what_is_said_of_the_server_reaches_it_and_the_token_comes_from_the_environment(
    tmp_path, ct, loader, monkeypatch, capsys
):
    monkeypatch.setenv("GDLA_SERVER_TOKEN", "secret-word\n")
    options = ("--server", URL, "--ca-file", tmp_path / "ca.pem", "--fall-back")
    assert run_gdla("segment", ct, "-o", tmp_path / "o.nii", *options, "--json") == 0
    ca_file = str(tmp_path / "ca.pem")
    wanted = RemoteServer(URL, token="secret-word", ca_file=ca_file, fall_back=True)
    assert loader.servers == [wanted]
    printed = capsys.readouterr()
    assert "secret" not in printed.out + printed.err


def test_without_a_server_none_is_asked_whatever_token_lies_about(
    tmp_path, ct, loader, monkeypatch
):
    monkeypatch.setenv("GDLA_SERVER_TOKEN", "secret-word")
    assert run_gdla("segment", ct, "-o", tmp_path / "o.nii") == 0
    assert loader.servers == [None]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fall-back"], "--fall-back says nothing without a server. Add --server URL."),
        (["--ca-file", "ca.pem"], "--ca-file says nothing without a server. Add --server URL."),
        (["--server", "gpu.hospital.org"], "address lacks http:// or https://"),
        (["--server", "https://u:secret-word@gpu"], "holds a name or a password"),
        (["--server", "http://gpu.hospital.org"], "would travel to gpu.hospital.org"),
    ],
)
def test_a_server_that_cannot_be_meant_is_refused_before_anything_is_read(
    tmp_path, loader, monkeypatch, capsys, options, words
):
    monkeypatch.setenv("GDLA_SERVER_TOKEN", "secret-word")
    assert run_gdla("segment", tmp_path / "none.nii", "-o", tmp_path / "o.nii", *options) == 1
    error = capsys.readouterr().err
    assert words in error and "secret" not in error and len(error.splitlines()) == 1
    assert loader.models == []


def test_a_token_is_no_argument(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["segment", "ct.nii", "-o", "o.nii", "--server", URL, "--token", "secret-word"])
    assert ended.value.code == 2


def arguments(**values: object) -> Namespace:
    return Namespace(**{"model": "synapse", "card": None, "server": None, **values})


def stored(state: str, path: str | None) -> StoredModel:
    return StoredModel("synapse", state, "It is damaged.", path=path and Path(path))


@pytest.mark.parametrize(
    ("found", "model"),
    [
        (stored(DAMAGED, "/models/synapse.onnx"), "synapse"),
        (stored(ABSENT, None), "synapse"),
        (stored(READY, "/models/synapse.onnx"), str(Path("/models/synapse.onnx"))),
    ],
    ids=lambda value: getattr(value, "state", ""),
)
def test_a_server_needs_no_file_here_but_is_compared_with_a_good_one(monkeypatch, found, model):
    monkeypatch.setattr(stored_model, "find_model", lambda name, folder: found)
    assert stored_model.with_stored_model(arguments(server=URL)).model == model
    if found.state == DAMAGED:
        with pytest.raises(ModelFileError):
            stored_model.with_stored_model(arguments())


REPORT = ServerReport(
    "triton",
    "2.51.0",
    0.00314,
    (
        ServedModel("abdomen", "1", True, make_card(), ""),
        ServedModel("resnet", "3", False, None, "The model resnet is none of this program's."),
    ),
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[RemoteServer]:
    asked: list[RemoteServer] = []
    monkeypatch.setattr(server_command, "check_server", lambda one: asked.append(one) or REPORT)
    monkeypatch.setenv("GDLA_SERVER_TOKEN", "secret-word")
    return asked


def test_a_server_is_described_in_a_table(asked, tmp_path, capsys):
    assert run_gdla("server", URL, "--ca-file", tmp_path / "ca.pem") == 0
    assert asked == [RemoteServer(URL, token="secret-word", ca_file=str(tmp_path / "ca.pem"))]
    printed = capsys.readouterr().out
    assert "gpu.hospital.org: triton 2.51.0, answers in 3.1 ms" in printed
    assert "abdomen" in printed and "cannot be used" in printed
    assert "resnet: The model resnet is none of this program's." in printed
    assert "secret" not in printed


def test_a_server_is_described_in_json(asked, capsys):
    assert run_gdla("server", URL, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["server"], facts["latency_ms"]) == (URL, 3.1)
    abdomen, resnet = facts["models"]
    assert (abdomen["ready"], abdomen["structures"]) == (True, ["liver", "spleen", "aorta"])
    assert (resnet["ready"], resnet["structures"]) == (False, None)


def test_a_server_that_cannot_be_reached_is_a_sentence_and_an_exit_code(monkeypatch, capsys):
    def fail(server: RemoteServer) -> ServerReport:
        raise ServerError("The server gpu.hospital.org does not answer.", "See that it is on.")

    monkeypatch.setattr(server_command, "check_server", fail)
    assert run_gdla("server", URL) == 1
    error = "gdla: error: The server gpu.hospital.org does not answer. See that it is on.\n"
    assert capsys.readouterr() == ("", error)


def test_the_help_of_the_test_of_a_server_tells_its_exit_codes(capsys):
    with pytest.raises(SystemExit):
        run_gdla("server", "--help")
    assert "exit codes:\n  0    the server answers" in capsys.readouterr().out

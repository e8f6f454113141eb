"""Only pixels leave this computer: everything that is sent is looked through."""

from __future__ import annotations

import re

import numpy as np
import pytest
from inference_server import AUTHORITY, TLS, inference_server
from model_files import CARD, recipe, write_safetensors
from served_network import ServedNetwork, bright

from GDLACore import __version__
from GDLACore.engine import load_engine
from GDLACore.imaging.volume import Volume
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import segment_volume_with_confidence
from GDLACore.remote import RemoteServer, check_server

SECRETS = ("MUSTERMANN", "1.2.840.99", "PAT-4711")
TOKEN = "t0ken-0815"


def test_nothing_but_pixels_is_sent(tmp_path, caplog, capfd):
    folder = tmp_path / "MUSTERMANN_1.2.840.99"
    folder.mkdir()
    model = write_safetensors(folder / "PAT-4711.safetensors", recipe())
    rng = np.random.default_rng(0)
    array = rng.integers(-160, 240, (5, 40, 50)).astype(np.int16)
    volume = Volume(array, np.eye(4), "MUSTERMANN PAT-4711", "CT")
    networks = ServedNetwork(CARD, bright), ServedNetwork(CARD, bright)
    with inference_server(*networks, certificate=TLS / "server.pem", token=TOKEN) as server:
        address = RemoteServer(server.url, token=TOKEN, ca_file=str(AUTHORITY))
        check_server(address)
        with caplog.at_level(0), load_engine(model, server=address) as engine:
            segment_volume_with_confidence(volume, engine, SegmentOptions(borders="smooth"))
            told = [repr(engine), engine.describe(), repr(address)]
        requests = server.requests
    assert len(server.inferences) >= 3
    allowed = {"Host", "User-Agent", "Accept-Encoding", "Authorization", "Content-Length"}
    inferring = {"Content-Type", "Inference-Header-Content-Length"}
    for request in requests:
        assert set(request.headers) <= allowed | inferring
        assert request.headers["User-Agent"] == f"GDLASegmenter/{__version__}"
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        sent = f"{request.path} {request.headers}".encode() + request.body
        assert not any(secret.encode() in sent for secret in SECRETS)
        assert str(tmp_path).encode() not in sent
        assert request.path in ("/v2", "/v2/repository/index") or re.fullmatch(
            r"/v2/models/abdomen(/config|/versions/1/infer)?", request.path
        )
    for request in server.inferences:
        assert set(request.head) == {"id", "inputs", "outputs"}
        assert {one["name"] for one in request.head["inputs"]} == {
            *("image", "scaling", "rows", "columns")
        }
    ids = [request.head["id"] for request in server.inferences]
    assert len(set(ids)) == len(ids) and all(re.fullmatch("[0-9a-f]{16}", one) for one in ids)
    printed = capfd.readouterr()
    logged = f"{caplog.text} {told} {printed.out} {printed.err}"
    assert TOKEN not in logged and not any(
        secret in logged.replace(str(model), "") for secret in SECRETS
    )


def test_a_token_is_in_no_error_whatever_fails(tmp_path):
    with inference_server(ServedNetwork(CARD)) as server:
        address = RemoteServer(server.url, token=TOKEN)
        for code in (400, 401, 403, 404, 500, 503):
            server.general["/v2"] = code
            with pytest.raises(Exception) as caught:
                check_server(address)
            error: BaseException | None = caught.value
            while error is not None:
                assert TOKEN not in f"{error!r} {error} {error.__dict__}"
                error = error.__cause__ or error.__context__

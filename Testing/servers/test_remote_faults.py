"""What goes wrong between a laptop and a real server, what the user is told, and what is lost."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from department import Seen, export_for_server, patient, segmented, write_retrained_model
from link import Link, linked
from real_triton import RunningTriton, start_triton

from GDLACore.engine import load_engine
from GDLACore.errors import ServerError
from GDLACore.remote import RemoteServer

TLS = Path(__file__).resolve().parent / "tls"
OTHER_AUTHORITY = TLS.parents[1] / "tls" / "authority.pem"

# To wait for an answer; generous, for tests of what does answer.
PATIENT_S = 30.0
# And for those of what does not.
IMPATIENT_S = 1.0
# For those of what answers on all connections but one.
ONE_SILENT_S = 8.0

NOBODY = 1  # a port where nobody listens

PATIENT = patient(1)
AMID = 30  # slices, when every thread of a laptop has asked at least once


@pytest.fixture(scope="module")
def whole(tiny_model: Path, triton: RunningTriton) -> Seen:
    """What a laptop gets of PATIENT when nothing goes wrong."""
    seen = segmented(PATIENT, tiny_model, RemoteServer(triton.url))
    assert seen.error is None and sorted(seen.slices) == list(range(len(PATIENT.array)))
    return seen


@pytest.fixture
def link(triton: RunningTriton) -> Iterator[Link]:
    with linked(triton.port) as link:
        yield link


def assert_whole(seen: Seen, whole: Seen) -> None:
    """Nothing was told, and every slice came once and is right."""
    assert seen.sentence == "nothing"
    assert sorted(seen.slices) == sorted(whole.slices)
    assert seen.checksum == whole.checksum


def assert_told(seen: Seen, whole: Seen, url: str, *words: str) -> None:
    """One sentence and a hint were told, and every slice that came is right."""
    assert isinstance(seen.error, ServerError), seen.sentence
    assert seen.error.hint
    for word in (url.partition("//")[2], *words):
        assert word in seen.error.message, seen.sentence
    assert len(seen.slices) == len(set(seen.slices)) < len(whole.slices)
    if seen.slices:
        came = list(seen.slices)
        np.testing.assert_array_equal(seen.labels[came], whole.labels[came])


def lose_patience(server: RemoteServer) -> None:
    """Have requests from now on, to what does not answer any more, wait ``IMPATIENT_S``."""
    object.__setattr__(server, "timeout_s", IMPATIENT_S)


def test_a_server_finds_what_the_laptop_would_find(tiny_model: Path, whole: Seen) -> None:
    alone = segmented(PATIENT, tiny_model, None)
    assert len(np.unique(whole.labels)) > 1
    assert (alone.labels == whole.labels).mean() > 0.999


def test_a_server_killed_amid_a_volume_is_told_in_a_sentence(
    tiny_model: Path, repository: Path, whole: Seen, tmp_path: Path
) -> None:
    with start_triton(repository, tmp_path) as triton:
        server = RemoteServer(triton.url, timeout_s=PATIENT_S)

        def kill() -> None:
            triton.kill()
            lose_patience(server)

        seen = segmented(PATIENT, tiny_model, server, kill)
    assert seen.slices
    assert_told(seen, whole, triton.url)


def test_a_volume_survives_that_its_server_is_killed_and_started_again(
    tiny_model: Path, repository: Path, whole: Seen, tmp_path: Path
) -> None:
    servers = [start_triton(repository, tmp_path)]
    port = servers[0].port

    def restart() -> None:
        servers[0].kill()
        servers.append(start_triton(repository, tmp_path, port))

    try:
        server = RemoteServer(servers[0].url, timeout_s=PATIENT_S)
        seen = segmented(PATIENT, tiny_model, server, restart)
    finally:
        for one in servers:
            one.kill()
    assert len(servers) == 2
    assert_whole(seen, whole)


def test_a_model_replaced_amid_a_volume_at_a_server_that_goes_on_gets_no_slice_into_it(
    tiny_model: Path, tmp_path: Path
) -> None:
    long = patient(3, (60, 70, 92))
    repository = export_for_server(tiny_model, tmp_path / "models")
    retrained = write_retrained_model(tmp_path / "retrained.onnx")
    explicit = ("--model-control-mode=explicit", "--load-model=*")
    with start_triton(repository, tmp_path, options=explicit) as triton:
        came: list[int] = []

        def replace_when_all_connections_are_open(count: int) -> None:
            came.append(count)
            if sum(came[:-1]) < AMID <= sum(came):
                export_for_server(retrained, repository)
                load = f"{triton.url}/v2/repository/models/abdomen/load"
                urllib.request.urlopen(load, b"{}").close()

        server = RemoteServer(triton.url)
        before = segmented(long, tiny_model, server)
        seen = segmented(long, tiny_model, server, at_slices=replace_when_all_connections_are_open)
        triton.kill()
    assert_told(seen, before, triton.url)
    assert len(seen.slices) >= AMID


def test_this_computer_goes_on_for_a_server_that_is_gone_where_the_user_allowed_it(
    tiny_model: Path, link: Link, whole: Seen
) -> None:
    def gone() -> None:
        link.target = NOBODY
        link.hang_up()
        lose_patience(server)

    server = RemoteServer(link.url, timeout_s=PATIENT_S, fall_back=True)
    seen = segmented(PATIENT, tiny_model, server, gone)
    assert seen.error is None and sorted(seen.slices) == sorted(whole.slices)
    assert (seen.labels == whole.labels).mean() > 0.999
    (warning,) = seen.warnings
    assert link.url.partition("//")[2] in warning and "Going on on this computer" in warning


@pytest.mark.parametrize("how", ["reset", "half_close"])
@pytest.mark.parametrize("after", [0, 100, 1500], ids=["before", "in the head of", "in"])
def test_a_connection_that_breaks_before_or_in_an_answer_loses_no_slice(
    tiny_model: Path, link: Link, whole: Seen, how: str, after: int
) -> None:
    server = RemoteServer(link.url, timeout_s=PATIENT_S)
    seen = segmented(PATIENT, tiny_model, server, lambda: link.break_after(after, how))
    assert link.broken.is_set()
    assert_whole(seen, whole)


def test_all_connections_breaking_at_once_lose_no_slice(
    tiny_model: Path, link: Link, whole: Seen
) -> None:
    server = RemoteServer(link.url, timeout_s=PATIENT_S)
    seen = segmented(PATIENT, tiny_model, server, link.hang_up)
    assert_whole(seen, whole)


def test_a_connection_that_falls_silent_is_given_up_and_loses_no_slice(
    tiny_model: Path, link: Link, whole: Seen
) -> None:
    server = RemoteServer(link.url, timeout_s=ONE_SILENT_S)
    seen = segmented(PATIENT, tiny_model, server, lambda: link.break_after(100, "stall"))
    assert link.broken.is_set()
    assert_whole(seen, whole)


def test_connections_that_a_firewall_forgot_meanwhile_keep_nobody_waiting(
    tiny_model: Path, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.zeros((1, 1, 70, 92), np.float32)
    with load_engine(tiny_model, server=RemoteServer(link.url, timeout_s=PATIENT_S)) as engine:
        engine.predict(image, "smooth")
        before = link.connections
        engine.predict(image, "smooth")
        assert link.connections == before
        link.stall_all()
        monkeypatch.setattr("GDLACore.remote.client._LONGEST_REST_S", 0.0)
        begin = time.monotonic()
        engine.predict(image, "smooth")
        assert time.monotonic() - begin < PATIENT_S
    assert link.connections == before + 1


def test_a_slow_link_only_takes_longer(tiny_model: Path, link: Link, whole: Seen) -> None:
    link.delay_s, link.bytes_per_s = 0.02, 1e6
    assert_whole(segmented(PATIENT, tiny_model, RemoteServer(link.url)), whole)


def test_a_link_to_a_server_that_is_not_there_is_told(
    tiny_model: Path, link: Link, whole: Seen
) -> None:
    link.target = NOBODY
    seen = segmented(PATIENT, tiny_model, RemoteServer(link.url, timeout_s=IMPATIENT_S))
    assert_told(seen, whole, link.url)


def test_a_server_that_vouches_for_itself_is_used(
    tiny_model: Path, triton: RunningTriton, whole: Seen
) -> None:
    with linked(triton.port, TLS / "server.pem") as link:
        server = RemoteServer(link.url, token="secret", ca_file=str(TLS / "authority.pem"))
        assert_whole(segmented(PATIENT, tiny_model, server), whole)


@pytest.mark.parametrize(
    ("certificate", "authority", "words"),
    [
        ("expired.pem", TLS / "authority.pem", "expired"),
        ("other_host.pem", TLS / "authority.pem", "another"),
        ("server.pem", OTHER_AUTHORITY, "certificate"),
        ("server.pem", None, "certificate"),
    ],
    ids=["expired", "for another host", "of another authority", "of one nobody knows"],
)
def test_a_server_with_a_wrong_certificate_gets_neither_a_slice_nor_the_token(
    tiny_model: Path,
    triton: RunningTriton,
    whole: Seen,
    certificate: str,
    authority: Path | None,
    words: str,
) -> None:
    with linked(triton.port, TLS / certificate) as link:
        server = RemoteServer(
            link.url,
            token="secret",
            ca_file=authority and str(authority),
            timeout_s=PATIENT_S,
        )
        seen = segmented(PATIENT, tiny_model, server)
        assert link.up == 0
        assert_told(seen, whole, link.url, words)
        assert "secret" not in seen.sentence

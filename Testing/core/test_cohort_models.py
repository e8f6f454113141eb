"""Cohorts with a real model, from its file or on a server: the same as one image at a time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import SimpleITK

pytest.importorskip("PIL")
from cohorts import batch, process_here, timeless
from command_line import run_gdla
from exported import small_model
from model_files import write_safetensors

from GDLACore.cohort.identity import differences, identity, model_card
from GDLACore.cohort.local import local_process
from GDLACore.cohort.plan import find_studies
from GDLACore.cohort.run import run_batch
from GDLACore.cohort.settings import BatchSettings
from GDLACore.errors import ModelFileError, OutputError
from GDLACore.export.model_file import onnx_model
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.volume import sitk_geometry
from GDLACore.resources import resource_path
from GDLACore.weights.identified import load_identified


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two slices of the sample CT."""
    volume = read_volume(resource_path("samples", "ct-abdomen-dicom"))
    image = SimpleITK.GetImageFromArray(volume.array[9:11])
    origin, spacing, direction = sitk_geometry(volume.ijk_to_ras)
    image.SetOrigin(origin)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    path = tmp_path_factory.mktemp("ct") / "ct.nii.gz"
    SimpleITK.WriteImage(image, str(path))
    return path


def test_a_study_is_segmented_as_gdla_segment_does_it_bit_for_bit(tmp_path, ct, capsys):
    options = ("--threads", "1", "--largest-component", "--quiet")
    assert run_gdla("segment", ct, "-o", tmp_path / "ct.seg.nrrd", *options) == 0
    assert run_gdla("batch", ct, "-o", tmp_path / "out", *options) == 0
    result = tmp_path / "out/segmentations/ct.seg.nrrd"
    assert result.read_bytes() == (tmp_path / "ct.seg.nrrd").read_bytes()
    (line,) = (tmp_path / "out/manifest.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert record["volumes_ml"]["Liver"] > 10 and 0 < record["doubt"] < 0.5
    assert "Liver" in (tmp_path / "out/qc.html").read_text(encoding="utf-8")


def test_weights_are_told_apart_by_what_they_are_and_not_by_their_names(tmp_path):
    model = small_model()
    one = write_safetensors(tmp_path / "one.safetensors", model.tensors, model.card)
    copy = write_safetensors(tmp_path / "copy.safetensors", model.tensors, model.card)
    changed = {name: tensor + 1 for name, tensor in model.tensors.items()}
    other = write_safetensors(tmp_path / "other.safetensors", changed, model.card)
    found = []
    for path in (one, copy, other):
        settings = BatchSettings(tmp_path / "out", model=str(path))
        found.append(identity(settings, model_card(settings)))
    assert differences(found[0], found[1]) == ""
    assert "the model's weights" in differences(found[0], found[2])


def test_an_exported_model_has_an_identity_too(tmp_path):
    path = tmp_path / "small.onnx"
    model = small_model()
    path.write_bytes(onnx_model(model))
    settings = BatchSettings(tmp_path / "out", model=str(path))
    found = identity(settings, model_card(settings))
    assert found["model"] == model.card.name and len(str(found["weights_sha256"])) == 64


def test_exports_of_one_model_with_other_numbers_are_told_apart(tmp_path):
    path, out = tmp_path / "small.onnx", tmp_path / "out"
    model = load_identified(
        write_safetensors(tmp_path / "m.safetensors", small_model().tensors, small_model().card),
        None,
    )
    settings = BatchSettings(out, model=str(path))
    found = []
    for precision in ("fp32", "fp16"):
        path.write_bytes(onnx_model(model, precision=precision))
        found.append(identity(settings, model_card(settings)))
    assert found[0]["weights_sha256"] == found[1]["weights_sha256"]
    assert differences(found[0], found[1]) == "the model's file"
    served = {**found[0], "file_sha256": ""}  # what a server has nobody knows
    assert differences(found[0], served) == "" == differences(served, found[1])


def test_a_model_that_is_replaced_while_the_run_begins_is_found_out(tmp_path, ct):
    model = small_model()
    path = tmp_path / "small.onnx"
    path.write_bytes(onnx_model(model))
    settings = BatchSettings(tmp_path / "out", model=str(path), threads=1)

    def process(studies):
        path.write_bytes(onnx_model(model, precision="fp16"))
        return local_process(settings)(studies)

    with pytest.raises(ModelFileError, match="was replaced while the run began: .*file"):
        run_batch(find_studies([ct]), settings, process)
    assert not (tmp_path / "out/segmentations").exists()


def test_a_server_does_the_same_work_and_its_token_stays_in_memory(tmp_path, ct):
    from inference_server import inference_server
    from phantom import make_card
    from served_network import ServedNetwork

    from GDLACore.remote import RemoteServer

    token = "secret-word"
    with inference_server(ServedNetwork(make_card()), token=token) as server:
        settings = BatchSettings(
            tmp_path / "out", model="abdomen", server=RemoteServer(server.url, token=token)
        )
        assert token not in repr(settings)
        plan = find_studies([ct])
        result = run_batch(plan, settings, process_here(settings))
        again = run_batch(plan, settings, process_here(settings))
    assert [record.status for record in result.records] == ["done"]
    assert sum(result.records[0].volumes_ml.values()) > 0
    assert (again.kept, timeless(again.records)) == (1, timeless(result.records))
    for path in (tmp_path / "out").rglob("*"):
        assert not path.is_file() or token.encode() not in path.read_bytes()


def test_a_server_that_is_gone_ends_the_run_before_a_folder_is_made(tmp_path, ct):
    from GDLACore.errors import ServerError
    from GDLACore.remote import RemoteServer

    settings = BatchSettings(
        tmp_path / "out", model="abdomen", server=RemoteServer("http://127.0.0.1:9")
    )
    with pytest.raises(ServerError):
        run_batch(find_studies([ct]), settings, process_here(settings))
    assert not (tmp_path / "out").exists()


def test_results_of_one_model_are_not_mixed_with_those_of_another(tmp_path, ct, monkeypatch):
    model = small_model()
    path = write_safetensors(tmp_path / "small.safetensors", model.tensors, model.card)
    out = tmp_path / "out"
    batch(ct, out, threads=1)
    with pytest.raises(OutputError, match=r"the model \(demo-ct, now "):
        batch(ct, out, model=str(path), threads=1)

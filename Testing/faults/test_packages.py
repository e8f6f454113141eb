"""Where the worker finds ONNX Runtime, and the environment that it is started in."""

from __future__ import annotations

import os
import sys

from GDLACore.worker import Failed, ModelRequest

_IMPOSTOR = """
import os
open(os.environ["GDLA_TEST_SEEN"], "w").write(__file__)
raise ImportError("This is not ONNX Runtime.")
"""


def test_a_folder_of_packages_comes_before_all_others_in_the_environment_given(
    observe, tmp_path, tiny_model
):
    packages = tmp_path / "runtime é 中文"
    (packages / "onnxruntime").mkdir(parents=True)
    (packages / "onnxruntime" / "__init__.py").write_text(_IMPOSTOR, "utf-8")
    seen = tmp_path / "seen"
    observer = observe(
        python=[sys.executable],
        packages=packages,
        environment={**os.environ, "GDLA_TEST_SEEN": str(seen)},
    )
    failed = observer.segment(model=ModelRequest(str(tiny_model), device="cpu"))
    assert isinstance(failed, Failed), failed
    assert seen.read_text("utf-8") == str(packages / "onnxruntime" / "__init__.py")
    assert "GDLA_TEST_SEEN" not in os.environ

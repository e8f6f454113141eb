"""Who may import whom: the arrows of the design."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "GDLACore"

# Everyone may import these; they themselves import nothing but the standard library and numpy.
FOUNDATION = {
    "arrivals",
    "atomic",
    "errors",
    "file_lock",
    "options",
    "owned_folder",
    "process_tree",
    "resources",
    "model",
    "__init__",
}

# The arrows of the design: what each part may import of the package while it is being imported.
DIRECTION = {
    "errors": set(),
    "resources": set(),
    "atomic": {"errors"},
    "options": set(),
    "file_lock": set(),
    "owned_folder": {"file_lock"},
    "process_tree": set(),
    "arrivals": set(),
    "__init__": set(),
    "model": {"errors", "resources", "model"},
    "imaging": {"imaging"},
    "weights": {"weights"},
    "export": {"export", "weights"},
    "installation": {"installation"},
    "engine": {"engine", "imaging", "weights", "export", "installation"},
    "pipeline": {"pipeline", "engine", "imaging"},
    "calibration": {"calibration", "pipeline", "engine", "imaging"},
    "serving": {"serving", "engine", "imaging", "weights", "export"},
    "storage": {"storage", "weights", "export", "calibration"},
    "offline": {"offline", "storage", "installation"},
    "remote": {"remote", "serving", "storage", "engine", "imaging", "weights"},
    "review": {"review", "engine", "imaging"},
    "worker": {"worker", "review", "remote", "pipeline", "engine", "imaging"},
    "cohort": {"cohort", "review", "remote", "pipeline", "engine", "weights", "imaging"},
    "network": {"network", "weights"},
    "training_set": {"training_set", "imaging"},
    "training": {
        *("training", "network", "weights", "pipeline", "engine", "imaging"),
        "training_set",
    },
    # Of training it takes what a dataset is, which needs no PyTorch.
    "evaluation": {"evaluation", "training", "pipeline", "engine", "imaging"},
    "comparison": {
        *("comparison", "training", "evaluation", "network", "pipeline", "engine", "imaging"),
    },
    "finetuning": {
        *("finetuning", "training", "training_set", "evaluation", "export"),
        *("network", "weights", "pipeline", "engine", "imaging"),
    },
}

RUNTIME = {"numpy", "scipy", "SimpleITK", "pydicom", "onnxruntime"}

# PyTorch and what comes with it; ``onnx`` too, which only tests need.
TORCH = {"torch", "timm", "safetensors", "lightning", "monai", "onnx"}

# The one place that may turn to PyTorch, when it is asked for or alone can use the GPU.
CHOICE_OF_ENGINE = PACKAGE / "engine" / "loading.py"


@dataclass(frozen=True)
class Import:
    """One import statement: in which part of the package, of what, and whether at file scope."""

    path: Path
    line: int
    module: str
    executed_at_import: bool

    @property
    def part(self) -> str:
        relative = self.path.relative_to(PACKAGE)
        return relative.parts[0] if len(relative.parts) > 1 else relative.stem

    @property
    def package(self) -> str:
        return self.module.split(".")[0]

    @property
    def target_part(self) -> str | None:
        """Return the part of GDLACore that is imported, None for other packages."""
        names = self.module.split(".")
        if names[0] != "GDLACore":
            return None
        return names[1] if len(names) > 1 else "__init__"

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.module}"


def imports() -> Iterator[Import]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield from _imports_in(path, ast.parse(path.read_text("utf-8")).body, True)


def _imports_in(path: Path, nodes: list[ast.stmt], executed: bool) -> Iterator[Import]:
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(path, node.lineno, alias.name, executed)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(path, node)
            if module == "GDLACore":  # `from GDLACore import errors` names a part
                for alias in node.names:
                    is_part = (PACKAGE / alias.name).is_dir() or (
                        PACKAGE / f"{alias.name}.py"
                    ).exists()
                    name = f"{module}.{alias.name}" if is_part else module
                    yield Import(path, node.lineno, name, executed)
            else:
                yield Import(path, node.lineno, module, executed)
        else:
            deferred = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or (
                isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            )
            yield from _imports_in(path, list(_statements_of(node)), executed and not deferred)


def _statements_of(node: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements directly inside ``node``, those of its handlers and cases included."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        else:
            yield from _statements_of(child)


def _absolute(path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = path.relative_to(ROOT).parent.parts
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def is_torch_engine(item: Import) -> bool:
    """Return whether the import stands in the one engine that is made of PyTorch."""
    return item.part == "engine" and "torch" in item.path.stem


def needs_torch(item: Import) -> bool:
    """Return whether the import stands in what is made of PyTorch."""
    return item.part in {"network", "training", "comparison", "finetuning"} or is_torch_engine(item)


def is_metric(item: Import) -> bool:
    """Return whether evaluation asks MONAI for distances, which it does when it is called."""
    return item.part == "evaluation" and item.module == "monai.metrics"


def is_stdlib(module: str) -> bool:
    return module.split(".")[0] in sys.stdlib_module_names


def test_the_walk_sees_imports_in_functions_branches_and_handlers(tmp_path: Path) -> None:
    source = (
        "import a\n"
        "if TYPE_CHECKING:\n    import b\n"
        "try:\n    import c\nexcept ImportError:\n    import d\n"
        "class X:\n    import e\n    def f(self):\n        with x:\n            import f\n"
        "match 1:\n    case 1:\n        import g\n"
    )
    found = _imports_in(PACKAGE / "x.py", ast.parse(source).body, True)
    assert {item.module: item.executed_at_import for item in found} == {
        "a": True,
        "b": False,
        "c": True,
        "d": True,
        "e": True,
        "f": False,
        "g": True,
    }


def test_nothing_in_the_backend_knows_slicer_or_its_widgets() -> None:
    forbidden = {"slicer", "qt", "ctk", "vtk", "vtkmodules", "mrml", "qtpy", "GDLASegmenter"}
    assert [str(i) for i in imports() if i.package in forbidden] == []


def test_the_foundation_weights_and_export_need_only_the_standard_library_and_numpy() -> None:
    parts = FOUNDATION | {"weights", "export"}
    wrong = [
        str(i)
        for i in imports()
        if i.part in parts
        and not is_stdlib(i.module)
        and i.package != "numpy"
        and i.target_part not in parts
    ]
    assert wrong == []


def test_imports_point_one_way() -> None:
    wrong = [
        str(i)
        for i in imports()
        if i.executed_at_import
        and i.part in DIRECTION
        and i.target_part is not None
        and not is_torch_engine(i)
        and i.target_part not in DIRECTION[i.part] | FOUNDATION
    ]
    assert wrong == []


def test_every_part_of_the_package_has_its_place_in_the_design() -> None:
    entry_points = {"cli", "__main__"}
    assert {i.part for i in imports()} <= set(DIRECTION) | entry_points


def test_only_the_pytorch_engine_and_training_reach_the_network() -> None:
    wrong = [
        str(i)
        for i in imports()
        if i.target_part == "network" and not needs_torch(i) and i.path != CHOICE_OF_ENGINE
    ]
    assert wrong == []


def test_training_is_reached_only_from_the_command_line_and_what_scores_it() -> None:
    allowed = {"training", "cli", "evaluation", "comparison", "finetuning"}
    wrong = [str(i) for i in imports() if i.target_part == "training" and i.part not in allowed]
    assert wrong == []


def test_everything_without_torch_imports_only_the_runtime_dependencies() -> None:
    wrong = [
        str(i)
        for i in imports()
        if i.executed_at_import
        and not needs_torch(i)
        and i.target_part is None
        and not is_stdlib(i.module)
        and i.package not in RUNTIME
    ]
    assert wrong == []


def test_torch_is_not_imported_later_either_but_to_ask_it_for_a_gpu() -> None:
    wrong = [
        str(i)
        for i in imports()
        if i.package in TORCH
        and not needs_torch(i)
        and not is_metric(i)
        and i.path != CHOICE_OF_ENGINE
    ]
    assert wrong == []

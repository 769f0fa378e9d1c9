"""The import rule of the house: who may know whom."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("posetrack_app", "models", "trackers")

# Inside posetrack_app: which parts may import only which others. A part is a module, or a folder.
ONLY: dict[str, set[str]] = {
    "types": set(),
    "errors": set(),
    "config": set(),
    "formats": {"types", "errors", "config", "formats"},
    "video": {"types", "errors", "config", "video"},
    "render": {"types", "errors", "config", "render"},
    "view": {"types", "errors", "config", "formats", "render", "view"},
    "training": {"types", "errors", "config", "formats", "video", "engines", "estimator", "evaluation", "training"},
}


def _modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = _modules()


def _imports(module: str) -> set[str]:
    """Modules of the project that a module imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        found |= {name for name in names if name in MODULES}
    return found


@pytest.mark.parametrize("module", sorted(MODULES))
def test_import_rule(module: str) -> None:
    package, _, rest = module.partition(".")
    part = rest.split(".")[0]
    for imported in _imports(module):
        other, _, other_rest = imported.partition(".")
        if package in ("models", "trackers"):
            assert other == package, f"{module} imports {imported}"
        elif other == package and part in ONLY and other_rest:
            assert other_rest.split(".")[0] in ONLY[part], f"{module} imports {imported}"
        if imported.startswith("posetrack_app.training"):
            assert part in ("training", "commands"), f"{module} imports {imported}"


def test_no_cycles() -> None:
    # A package's own __init__ re-exports its modules; an edge to it from inside is no cycle of modules.
    graph = {module: {name for name in _imports(module) if not module.startswith(f"{name}.")} for module in MODULES}
    list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_light(package: str) -> None:
    """Importing a package alone does not import torch: `--help` answers at once."""
    source = (ROOT / package / "__init__.py").read_text(encoding="utf-8")
    assert "torch" not in source.replace("posetrack", "")

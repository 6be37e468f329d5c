"""Who imports whom: read from the code, with imports inside functions and for types alone."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = {path.relative_to(ROOT): path for top in ("synth", "training", "bench") for path in (ROOT / top).rglob("*.py")}
MODULES = {".".join(name.with_suffix("").parts).removesuffix(".__init__"): path for name, path in FILES.items()}


def imports(module: str) -> set[str]:
    """Modules that ``module`` names, and those of the packages that it discovers."""
    names = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{module}: absolute imports only"
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in MODULES else node.module for name in full}
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "discover":
            package = ast.literal_eval(node.args[0])
            names |= {name for name in MODULES if name.startswith(f"{package}.") and name != module}
    return names


GRAPH = {module: imports(module) for module in MODULES}


def test_there_are_no_cycles():
    ours = {module: [name for name in names if name in MODULES] for module, names in GRAPH.items()}
    assert sum(map(len, ours.values())) > 200
    order = list(graphlib.TopologicalSorter(ours).static_order())  # CycleError names the modules of a cycle
    assert order.index("synth.pgd") < order.index("synth.tasks") < order.index("synth.web.page")


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [("synth", "training"), ("synth", "bench"), ("training", "bench"), ("training", "gradio"), ("synth", "gradio")],
)
def test_packages_depend_on_lower_ones_alone(package, forbidden):
    for module, names in GRAPH.items():
        if module.startswith(package) and not (forbidden == "gradio" and module.startswith("synth.web")):
            assert forbidden not in {name.partition(".")[0] for name in names}, module


def test_private_names_stay_in_their_module():
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in MODULES:
                names = [alias.name for alias in node.names if alias.asname != "__version__"]
                assert not any(name.startswith("_") for name in names), module


def test_modules_import_without_gradio_until_the_page_is_asked_for():
    code = "import sys, synth, synth.__main__; sys.exit('gradio' in sys.modules or 'training' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_files_are_short():
    paths = [*ROOT.glob("*.py"), *FILES.values(), *(ROOT / "tests").rglob("*.py")]
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths}
    assert {name: count for name, count in lines.items() if count > 300} == {}

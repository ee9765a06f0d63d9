"""The house holds: who may import whom, no circle of imports, few files at the root."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Room -> the rooms it may import; all may import errors. Those missing here may import anything.
ALLOWED = {
    "errors": (),
    "sharding": (),
    "bars": (),
    "files": (),
    "machines": (),
    "augment": ("files",),
    "losses": (),
    "metrics": (),
    "statistics": (),
    "optim": ("files",),
    "models": ("files",),
    "checkpoint": ("files", "machines", "sharding"),
    "data": ("files", "bars", "sharding", "machines"),
    "steps": ("losses", "metrics", "optim"),
    "pretrained": ("files", "models", "data.catalog.download"),
    "config": ("files", "data", "models", "augment", "optim"),
    "workdir": ("files", "config", "machines"),
    "limits": ("files", "metrics"),
    "report": ("files", "metrics", "data", "augment", "workdir", "config", "limits"),
    "predict": (
        "files",
        "metrics",
        "config",
        "train.setup",
        "workdir",
        "checkpoint",
        "limits",
        "report",
        "data",
        "steps",
        "models",
    ),
    "doctor": (
        "files",
        "losses",
        "metrics",
        "config",
        "data",
        "steps",
        "models",
        "pretrained",
        "train",
    ),
}
NEVER = {"train": ("report", "predict", "doctor", "experiments")}


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    _module(p): p for of in ("imgcls_jax", "experiments") for p in ROOT.glob(f"{of}/**/*.py")
}


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            whole = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in whole.values()}
    return found & set(MODULES)


def test_imports_keep_to_the_table():
    broken = []
    for name, path in MODULES.items():
        of, _, rest = name.partition(".")
        room = rest.split(".")[0]
        for other in _imports(path) if of == "imgcls_jax" and rest else ():
            path = other.removeprefix("imgcls_jax.").split(".")
            allowed = {room, "errors", *ALLOWED.get(room, path)} - set(NEVER.get(room, ()))
            if not {path[0], ".".join(path)} & allowed or path[0] == "experiments":
                broken.append(f"{name} imports {other}")
    assert not broken


def test_progress_bars_are_those_of_terminals_and_notebooks():
    plain = [name for name, path in MODULES.items() if "from tqdm import" in path.read_text()]
    assert plain == []


def test_the_longest_chain_of_imports_is_short_and_none_is_a_circle():
    depths: dict[str, int] = {}

    def depth(name: str, above: tuple[str, ...] = ()) -> int:
        assert name not in above, " -> ".join((*above, name))
        if name not in depths:
            below = _imports(MODULES[name]) - {name}
            depths[name] = 1 + max((depth(other, (*above, name)) for other in below), default=0)
        return depths[name]

    longest = max(MODULES, key=depth)
    assert depths[longest] <= 12, longest


def test_files_at_the_root_are_few_and_no_file_is_long():
    assert len(list((ROOT / "imgcls_jax").glob("*.py"))) <= 10
    lengths = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert not {name: length for name, length in lengths.items() if length > 310}


def test_functions_are_short_and_take_few_parameters():
    """But for the public factories of steps, whose keywords say what a step is made of."""
    found = []
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and name != "imgcls_jax.steps":
                of = node.args
                parameters = len(of.args) + len(of.kwonlyargs) + len(of.posonlyargs)
                if node.end_lineno - node.lineno >= 60 or parameters > 8:
                    found.append(f"{name}.{node.name}")
    assert not found


@pytest.mark.parametrize("word", ["--", "experiments."])
def test_the_library_names_no_flag_and_no_experiment(word):
    """Not even in a message: the command line adds the dashes."""
    said = []
    for name, path in MODULES.items():
        if not name.startswith("imgcls_jax"):
            continue
        tree = ast.parse(path.read_text())
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        said += [
            f"{name}:{node.lineno} {node.value}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            if id(node) not in prose and " " in node.value and word in node.value
        ]
    assert not said

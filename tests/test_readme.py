"""The README's promises: its snippet runs, its commands parse, its links lead somewhere."""

import contextlib
import importlib.util
import io
import re
import shlex
from pathlib import Path

import pytest
from absl import flags

from experiments import export, predict, transfer  # noqa: F401  (their flags)
from experiments.documented import RUNS
from experiments.presets import choose
from imgcls_jax import augment

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = ("README.md", "BUILD_NOTES.md", "experiments/results/README.md")
COMMANDS = [
    shlex.split(line.partition("#")[0])
    for line in re.findall(r"python -m (experiments\.[^`\n]+)", README)
]
# Commands whose flags cannot be defined in one process with a training's.
OTHERS = ("reproduce", "benchmark")


def _flags_of(experiment: str) -> set[str]:
    """Returns the flags of an experiment's own, by its source, and those that all have."""
    files = [ROOT / "experiments" / f"{experiment}.py", *(ROOT / "experiments/cli").glob("*.py")]
    source = "".join(file.read_text() for file in files)
    return set(re.findall(r'DEFINE_\w+\(\s*"(\w+)"', source)) | set(flags.FLAGS)


def test_the_notebook_snippet_trains_an_mlp():
    snippet = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(snippet, "README.md", "exec"), {})
    accuracy = float(re.search(r"'accuracy': ([\d.]+)", printed.getvalue())[1])
    promised = float(re.search(r"accuracy of about ([\d.]+)", README)[1].rstrip("."))
    assert accuracy == pytest.approx(promised, abs=0.03)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_names_a_module_and_flags_that_exist(command):
    module, *arguments = command
    assert importlib.util.find_spec(module)
    experiment = module.removeprefix("experiments.")
    known = _flags_of(experiment)
    for name, value in (re.fullmatch(r"--(\w+)=?(.*)", a).groups() for a in arguments if "--" in a):
        assert name in known
        if value and name in flags.FLAGS and experiment not in OTHERS:
            flags.FLAGS[name].parser.parse(value)
        if name == "preset":
            assert value in choose.NAMED[experiment]
        if name == "run":
            assert int(value) in RUNS


def test_every_flag_in_the_text_exists():
    text = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    named = set(re.findall(r"--(\w+)", text))
    assert len(named) > 5
    assert named <= {"help"}.union(*(_flags_of(experiment) for experiment in OTHERS))


def test_the_pages_are_short():
    for page, most in (("README.md", 160), ("BUILD_NOTES.md", 300)):
        lines = (ROOT / page).read_text().splitlines()
        assert len(lines) <= most, page
        assert [line for line in lines if len(line) > 120] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_resolves(page):
    links = re.findall(r"\]\(([^)\s]+)\)", (ROOT / page).read_text())
    assert links
    broken = [
        link
        for link in links
        if "://" not in link and not ((ROOT / page).parent / link.partition("#")[0]).exists()
    ]
    assert broken == []


def test_a_table_row_with_a_number_has_a_result_file_behind_it():
    rows = [line for line in README.splitlines() if re.match(r"\|.*\d", line)]
    for row in rows:
        files = re.findall(r"\]\((experiments/results/[^)]+\.json)\)", row)
        assert files, row
        assert all((ROOT / file).exists() for file in files)


def test_the_picture_is_small():
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert len(pictures) == 1
    assert (ROOT / pictures[0]).stat().st_size < 100_000


def test_the_house_has_the_rooms_that_are_there():
    drawn = re.search(r"## The house\n\n```\n(.*?)```", README, re.DOTALL)[1]
    rooms, above = set(), {}
    for indent, name in re.findall(r"^( *)(\w+)/ ", drawn, re.MULTILINE):
        above[len(indent)] = name
        rooms.add("/".join(above[depth] for depth in range(0, len(indent) + 1, 2)))
    there = {
        file.parent.relative_to(ROOT).as_posix()
        for package in ("experiments", "imgcls_jax")
        for file in (ROOT / package).rglob("__init__.py")
    }
    assert rooms - {"tests", "experiments/results", "experiments/notebooks"} == there


def test_the_readme_counts_the_augmentations():
    assert int(re.search(r"each of the (\d+) augmentations", README)[1]) == len(augment.NAMES)

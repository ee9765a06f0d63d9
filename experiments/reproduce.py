"""Measures the documents' runs and claims over many seeds, and draws and judges what came out.

python -m experiments.reproduce                          # runs 1-9, 10 seeds: whatever is missing
python -m experiments.reproduce --runs=10,11 --seeds=5
python -m experiments.reproduce --runs=15 --data_dir=EGGS --model=mobilenet_v2 --weights=FILE
python -m experiments.reproduce --claims=learning_rate   # what the documents claim in passing
python -m experiments.reproduce --readings               # what the author most probably ran
python -m experiments.reproduce --out=mine               # measured anew, in a folder of its own
python -m experiments.reproduce --table                  # writes the page of tables, README.md
"""

if __name__ == "__main__":  # before anything heavy is imported
    from experiments.cli.beginning import begin

    begin()

import functools
from pathlib import Path

from absl import flags

from experiments import tables
from experiments.cli import flags as cli
from experiments.cli import out_flag, vectorize_flag
from experiments.cli.out_flag import OUT
from experiments.cli.vectorize_flag import VECTORIZE
from experiments.documented import DocumentedRun
from experiments.evidence import pictures, plan, show, verdicts, work
from experiments.evidence.claims import CLAIMS, COMPUTED
from experiments.evidence.store import Store, results_folder
from imgcls_jax import data
from imgcls_jax.config import Config
from imgcls_jax.errors import UserError
from imgcls_jax.files import replacing
from imgcls_jax.report import console
from imgcls_jax.train.workers import default_jobs

flags.adopt_module_key_flags(cli)
flags.adopt_module_key_flags(out_flag)
flags.adopt_module_key_flags(vectorize_flag)
_RUNS = flags.DEFINE_list("runs", ["1-9"], "documented runs to measure, such as 1-9 or 5,10")
_CLAIMS = flags.DEFINE_list(
    "claims",
    [],
    f"claims of the documents to measure in place of runs: {', '.join([*CLAIMS, *COMPUTED])}",
)
_READINGS = flags.DEFINE_bool(
    "readings", False, "say what the author of a run with several readings most probably ran"
)
_SEEDS = flags.DEFINE_integer(
    "seeds", None, "seeds of each reading or variant, 0 and so on; by default 10, or the claim's"
)
_ONLY = flags.DEFINE_list("only", [], "result files to fill, such as run4_5epochs; all if empty")
_MODEL = flags.DEFINE_string("model", None, "network in place of those of photo runs 12-15")
_WEIGHTS = flags.DEFINE_string("weights", None, "its weights: a file, or imagenet to download them")
_PROCESSES = flags.DEFINE_integer(
    "processes", None, "processes at a time, by default one per core on a CPU", lower_bound=1
)
_FIGURES = flags.DEFINE_string("figures", "runs/reproduce", "folder to draw the figures into")
_TABLE = flags.DEFINE_bool("table", False, "write the result files as tables, README.md, and exit")


# What does nothing beside a flag that says what is done.
_MEASURING = ("runs", "only", "model", "weights", "seeds", "processes", "vectorize", "figures")
_IDLE = {
    "table": (*_MEASURING, "claims", "readings"),
    "readings": (*_MEASURING, "claims"),
    "claims": ("runs", "only", "model", "weights"),
}


def main() -> None:
    """Measures what is missing of the chosen runs, or writes the files' tables."""
    _refuse_idle_flags()
    folder = Path(OUT.value or results_folder()).expanduser()
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file, and results go into a folder; give another --out.")
    if _TABLE.value:
        page = tables.page(folder)
        with replacing(folder / "README.md", advice="give another --out") as temporary:
            temporary.write_text(page)
        print(f"The tables are in {folder / 'README.md'}")
        return
    store = Store(folder)
    if _READINGS.value:
        store.write(verdicts.STEM, content := verdicts.judge(store))
        show.readings(content)
        return
    if _SEEDS.value is not None and _SEEDS.value < 2:
        raise UserError(
            f"--seeds={_SEEDS.value} cannot be used; it must be at least 2, for a deviation."
        )
    if _CLAIMS.value:
        chosen, units = [], _units_of_claims()
        if not units:
            _answer(store)
            return
    else:
        chosen = _without_photos_among_others(plan.chosen_runs(_RUNS.value))
        _require_one_folder_of_photos(chosen)
        replaced = {"model": _MODEL.value, "weights": _WEIGHTS.value}
        replaced = {name: value for name, value in replaced.items() if value}
        targets = [target for found in chosen for target in plan.documented(found, replaced)]
        units = plan.units(_only(targets), _SEEDS.value or 10)
    _measure(units, store, chosen)


def _refuse_idle_flags() -> None:
    """Raises UserError for a flag that changes nothing of what is done."""
    done = next((name for name in _IDLE if flags.FLAGS[name].value), None)
    for name in _IDLE.get(done, ()):
        if flags.FLAGS[name].present:
            raise UserError(f"--{name} does nothing beside --{done}; leave one of them out.")


def _only(targets: list[plan.Target]) -> list[plan.Target]:
    """Returns the result files that --only names, all if it names none.

    Raises:
      UserError: for a name that the chosen runs do not have.
    """
    stems = [target.stem for target in targets]
    if unknown := sorted(set(_ONLY.value) - set(stems)):
        raise UserError(
            f"there is no {unknown[0]} among these runs; choose from {', '.join(stems)}."
        )
    return [target for target in targets if target.stem in (_ONLY.value or stems)]


def _units_of_claims() -> list[plan.Unit]:
    """Returns the trainings that the claims on the command line need.

    Raises:
      UserError: for a claim that there is none of.
    """
    known = [*CLAIMS, *COMPUTED]
    if unknown := sorted(set(_CLAIMS.value) - set(known)):
        raise UserError(f"there is no claim {unknown[0]!r}; choose from {', '.join(known)}.")
    claims = [CLAIMS[name] for name in _CLAIMS.value if name in CLAIMS]
    return [u for claim in claims for u in plan.units(claim.targets(), _SEEDS.value or claim.seeds)]


def _measure(units: list[plan.Unit], store: Store, chosen: list[DocumentedRun]) -> None:
    """Measures what is missing and, in the process that was called, shows what came out."""
    targets = list(dict.fromkeys(target for unit in units for target in unit.targets))
    if not work.is_worker():
        left = len(work.missing(units, store))
        console.heading(f"{left} of {len(units)} trainings are missing in {store.folder}")
    work.run(
        units,
        store,
        load=functools.partial(_load, chosen),
        processes=_processes(),
        vectorize=VECTORIZE.value,
    )
    if not work.is_worker():
        store.tidy([unit.name for unit in units] + [target.stem for target in targets])
        found = {stem: store.read(stem) for stem in sorted({target.stem for target in targets})}
        show.measured(found)
        console.paths("Figures", map(str, pictures.draw(found, Path(_FIGURES.value))))
        _answer(store)


def _answer(store: Store) -> None:
    """Answers the chosen claims that need no training of their own, and shows the answers."""
    for name in COMPUTED:
        if name in _CLAIMS.value:
            claim = COMPUTED[name]
            store.write(claim.stem, content := claim.content(store.need))
            show.claim(content)


def _processes() -> int:
    """Returns how many processes share the work."""
    if _PROCESSES.value:
        return _PROCESSES.value
    return 1 if VECTORIZE.value == "on" else default_jobs()


def _without_photos_among_others(chosen: list[DocumentedRun]) -> list[DocumentedRun]:
    """Returns the runs that one --data_dir can be for, and says which are left out."""
    others = [found for found in chosen if found.classes is None]
    if not others or len(others) == len(chosen):
        return chosen
    if not work.is_worker():
        numbers = ", ".join(str(found.number) for found in chosen if found.classes is not None)
        print(f"Left out: runs {numbers}, of photos; measure them by commands of their own.")
    return others


def _require_one_folder_of_photos(chosen: list[DocumentedRun]) -> None:
    """Raises UserError where --data_dir cannot be the photos of every chosen run."""
    classes = {found.classes for found in chosen if found.classes is not None}
    if len(classes) > 1:
        raise UserError(
            "runs 12, 13 and 14-15 are of different photos; give each of them a command and a "
            "--data_dir of its own."
        )
    if classes and not cli.photos_dir():
        raise UserError("runs 12-15 are of photos; give the folder of theirs as --data_dir.")
    if not classes and (_MODEL.value or _WEIGHTS.value):
        raise UserError("--model and --weights are for runs 12-15; leave them out.")


def _load(chosen: list[DocumentedRun], unit: plan.Unit) -> data.Dataset:
    """Loads the data of a training, once."""
    dataset = _loaded(unit.settings["dataset"], unit)
    number = unit.targets[0].header.get("run")
    for found in chosen:
        if found.number == number and not found.has_classes(dataset.class_names):
            raise UserError(
                f"the classes of {cli.photos_dir()} are not those of run {number}; give the folder "
                "of its photos as --data_dir."
            )
    return dataset


_LOADED: dict[str, data.Dataset] = {}


def _loaded(name: str, unit: plan.Unit) -> data.Dataset:
    if name not in _LOADED:
        photos = name == "folder"
        _LOADED[name] = (
            cli.load_dataset(Config.of(**unit.settings)) if photos else cli.load_data(name)
        )
    return _LOADED[name]


if __name__ == "__main__":
    cli.run(main)

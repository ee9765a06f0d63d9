"""Searches the settings of a training command: trials by Optuna, the winner met by the test set.

python -m experiments.tune fmnist --minutes=15 --workdir=STUDY
python -m experiments.tune fmnist --dataset=digits --trials=20 --epochs=20
python -m experiments.tune cifar10 --minutes=30 --space='lr=0.05..0.2:log,widths=16+32+64|16+64+64'
python -m experiments.tune transfer --data_dir=PHOTOS --trials=30 --seeds=3
python -m experiments.tune train --dataset=mnist --minutes=30
python -m experiments.tune fmnist --trials=200 --storage=postgresql://HOST/DB   # several machines
python -m experiments.tune fmnist --trials=200 --storage=journal:////SHARED/study.log    # likewise

The same command goes on after any interruption, and may run several times at once: the trials are
shared, and the command that ends last trains the winner. It needs Optuna: pip install '.[tune]'
"""

if __name__ == "__main__":  # before anything heavy is imported
    from experiments.cli.beginning import begin

    begin()

import importlib.metadata
import shlex
import time
from typing import Any

from absl import flags

from experiments.cli import flags as cli
from experiments.cli import out_flag, training, tuning
from experiments.cli.folders import WORKDIR
from imgcls_jax.report import console, study_figures
from imgcls_jax.train.tuning import trials, tune
from imgcls_jax.train.tuning.commands import Commands, Elsewhere
from imgcls_jax.train.tuning.storage import without_password
from imgcls_jax.train.tuning.study import Study
from imgcls_jax.workdir import Workdir, environment

flags.adopt_module_key_flags(out_flag)
SEEDS = 5
_OF_THIS_MACHINE = ("storage", "trials", "importances", "command")  # in no result file


def main(arguments: list[str]) -> None:
    experiment = tuning.experiment_of(arguments)
    out_flag.require_writable()
    plan = tuning.plan(
        experiment,
        number=training.RUN.value,
        name=training.preset_name(experiment),
        folder=WORKDIR.value,
    )
    found = plan.search
    console.heading(f"Study {found.name}")
    console.pairs({**found.given, **{name: str(of) for name, of in found.space.items()}})
    if found.fixed:
        print("  first the settings to beat; all others start from")
        console.pairs(found.fixed)
    else:
        print("  first the settings to beat")
    console.dataset(plan.dataset)
    console.heading("Trials")
    minutes = tuning.MINUTES.value
    deadline = time.time() + 60 * minutes if minutes else None
    try:
        trials.run_trials(found, plan.dataset, jobs=plan.jobs, deadline=deadline)
        study = found.open()
        folder = Workdir(plan.workdir.path / "finals")
        commands = Commands(study, found.folder)
        with commands.finals(folder):
            _finals(experiment, plan, study, folder)
            commands.finished()
    except Elsewhere as other:
        said = str(other)
        print(f"\n{said[0].upper()}{said[1:]}")


def _finals(experiment: str, plan: tuning.Plan, study: Study, folder: Workdir) -> None:
    """Trains the winner, meets the test set, and writes and shows what the study came to."""
    found, workdir, records = plan.search, plan.workdir, study.records()
    best = tune.winner(records)
    winning = tuning.setting_flags(tune.final_settings(found, best))
    command = shlex.join(tuning.command(experiment, winning))
    workdir.write_text("best_flags.txt", "\n".join(winning) + "\n")
    console.heading(f"The winner: trial {best['number']}")
    print(f"  {command}")
    console.heading("Train and validation together, met by the test set")
    seeds, whole = training.SEEDS.value or SEEDS, tuning.load_whole(plan)
    tests = tune.finals(found, records, whole, seeds=seeds, jobs=plan.jobs, workdir=folder)
    outcome, importances = tune.outcome(records, tests), study.importances()
    summary = {
        "study": found.name,
        "storage": without_password(found.url),
        "experiment": experiment,
        **found.definition(),
        "data": {"identity": found.data, "source": whole.source, "verified": whole.verified},
        "pruner": found.pruner,
        "budget": {
            "trials": found.trials,
            "minutes": tuning.MINUTES.value,
            "jobs": plan.jobs,
            "seeds": seeds,
        },
        **outcome,
        "flags": winning,
        "command": command,
        "test_met_by": sorted(int(p.name[6:]) for p in folder.path.glob("trial-*")),
        "importances": importances,
        "trials": records,
        "optuna": importlib.metadata.version("optuna"),
    } | environment()
    workdir.write_json("summary.json", summary)
    out_flag.write_json(_result(summary))
    show(summary)
    if training.FIGURES.value:
        axes = tune.axes(found)
        console.paths("Figures", study_figures.draw(workdir.make_figures(), summary, axes))
    print(f"\nEverything is in {workdir.path}")


def _result(summary: dict[str, Any]) -> dict[str, Any]:
    """Returns what a study came to, without its trials and the places of this machine."""
    kept = {name: of for name, of in summary.items() if name not in _OF_THIS_MACHINE}
    kept["data"] = {name: of for name, of in summary["data"].items() if name != "source"}
    states = [record["state"] for record in summary["trials"]]
    kept["trials"] = {state: states.count(state) for state in sorted(set(states))}
    return kept


def show(summary: dict[str, Any]) -> None:
    """Prints what the search found and how much of the gain is selection."""
    states = [
        "interrupted" if r["state"] == "fail" and "reason" not in r else r["state"]
        for r in summary["trials"]
    ]
    console.heading("Result")
    print("  trials: " + ", ".join(f"{states.count(s)} {s}" for s in sorted(set(states))))
    rows = []
    for name in ("winner", "first") if summary["selection"] else ("winner",):
        figures = summary[name]
        rows.append(
            (
                f"{'winner' if name == 'winner' else 'settings to beat'}, trial {figures['trial']}",
                f"{figures['validation_accuracy']:.4f}",
                _interval(figures["validation_interval"]),
                f"{figures['test_accuracy']:.4f}",
                _interval(_of_shares(figures["test_interval"])),
            )
        )
    found = summary["selection"]
    if found:
        gains = [
            (found[f"{of}_gain"], found[f"{of}_gain_interval"]) for of in ("validation", "test")
        ]
        cells = [c for gain, of in gains for c in (f"{gain:+.4f}", _interval(of, "+.4f"))]
        rows.append(("gain", *cells))
    console.table(("", "validation", "95 % interval", "test", "95 % interval"), rows)
    if found:
        share = f"{found['share']:.0%}" if 0 < found["share"] < 1 else "none"
        share = "all" if found["share"] >= 1 else share
        print(f"  {share} of the gain on validation is selection.")
    else:
        won = "won" if summary["first"] else "have no result"
        print(f"  the settings to beat {won}: there is no gain to speak of.")
    shown = {summary[name]["trial"] for name in ("winner", "first") if summary[name]}
    if others := sorted(set(summary["test_met_by"]) - shown):
        met = ", ".join(map(str, others))
        print(f"  the test set was also met by winners of earlier calls: trial {met}.")


def _of_shares(interval: list[float] | None) -> list[float] | None:
    """Returns the part of an interval that accuracies can lie in; few seeds make a wide one."""
    return None if interval is None else [min(max(end, 0.0), 1.0) for end in interval]


def _interval(interval: list[float] | None, form: str = ".4f") -> str:
    return "-" if interval is None else f"[{interval[0]:{form}}, {interval[1]:{form}}]"


if __name__ == "__main__":
    cli.run(main, takes_arguments=True, help_of=lambda: tuning.help_of(__doc__))

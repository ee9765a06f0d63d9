"""Averages the probabilities of finished runs; measures what that gains, and can distil it.

python -m experiments.ensemble --members=runs/fmnist/FIVE_SEEDS --workdir=OUT
python -m experiments.ensemble --members=RUN,RUN,RUN --workdir=OUT --weighting=greedy
python -m experiments.ensemble --members=STUDY --best=5 --workdir=OUT
python -m experiments.ensemble --members=FIVE_SEEDS --workdir=OUT --distil --epochs=30
python -m experiments.predict --checkpoint=OUT photo.jpg       # and --grid, and experiments.export

Members are finished runs of one data set: run folders, or folders that hold such (of --seeds, of
--folds, of a study). Weights are fitted on the validation split that the members share, and are
equal where they share none. The test set is met after every choice is made. --distil trains one
network on what the ensemble says, with the first member's settings and those given here, in
OUT/distilled, a run like any other.
"""

if __name__ == "__main__":  # before anything heavy is imported
    from experiments.cli.beginning import begin

    begin()

import time
from typing import Any

import numpy as np
from absl import flags

from experiments.cli import ensembling, folders, out_flag
from experiments.cli import flags as cli
from experiments.cli.training import FIGURES, SEEDS
from imgcls_jax.config import settings_by_name
from imgcls_jax.data.dataset import identity
from imgcls_jax.errors import UserError
from imgcls_jax.limits import temperature
from imgcls_jax.predict import ensemble, folds, gains, members, weighting
from imgcls_jax.predict.members import Member
from imgcls_jax.report import console
from imgcls_jax.report.ensemble_charts import draw_ensemble
from imgcls_jax.report.ensemble_console import closing
from imgcls_jax.train import distil, predictions
from imgcls_jax.train.outcome import of_test
from imgcls_jax.workdir import Workdir, environment

flags.adopt_module_key_flags(out_flag)
_MEMBERS = flags.DEFINE_list(
    "members", None, "folders of finished runs, or folders of such folders"
)
_BEST = flags.DEFINE_integer(
    "best", None, "keep only so many members, those of the highest validation accuracy"
)
_WEIGHTING = flags.DEFINE_enum(
    "weighting",
    None,
    list(ensembling.WEIGHTINGS),
    "how members weigh: fitted to or chosen greedily on the validation split that they share, or "
    "equal; by default fitted where they share one, else equal",
)
_DISTIL = flags.DEFINE_bool("distil", False, "train one network on what the ensemble says")
_TEMPERATURE = flags.DEFINE_float("temperature", 4.0, "softness of what the student learns")
_SOFT_SHARE = flags.DEFINE_float(
    "soft_share", 0.9, "part of the student's loss that is the ensemble's; the labels' is the rest"
)
_NOT_HERE = (
    "run",
    "preset",
    "list_runs",
    "show_config",
    "augmentations",
    "find_lr",
    "trackers",
    "tensorboard",
)
_OF_DISTILLING = ("temperature", "soft_share", "seeds", "checkpoint_every")


def main() -> None:
    """Makes the ensemble in its folder and shows what it gains.

    Raises:
      UserError: for members that do not go together, or flags that cannot be used.
    """
    _check_flags()
    found = members.read(members.find(_MEMBERS.value, best=_BEST.value))
    with folders.own("ensemble", "ensemble") as workdir:
        _make(found, workdir)
        print(f"\nEverything is in {workdir.path}")


def _make(found: list[Member], workdir: Workdir) -> None:
    """Makes the ensemble of the members that were found."""
    settings = {
        "members": ensemble.entries(
            [member.path for member in found],
            [member.digest for member in found],
            folder=workdir.path,
        ),
        "weighting": _WEIGHTING.value,
    }
    ensemble.claim(workdir, settings)
    if folds.are_folds([member.config for member in found]):
        _of_folds(found, settings, workdir)
    else:
        _of_one_test_set(found, settings, workdir)


def _of_one_test_set(found: list[Member], settings: dict[str, Any], workdir: Workdir) -> None:
    """Weighs and measures members that nothing but their training tells apart."""
    started = time.perf_counter()
    dataset = ensembling.load_data(found)
    console.dataset(dataset)
    probabilities = members.test_probabilities(found, dataset.test.labels)
    weighed = ensembling.weigh(found, dataset, _WEIGHTING.value)
    summary = _facts(found, workdir, weighed.weights) | {
        "dataset": dataset.name,
        "data": {"identity": identity(dataset), "verified": dataset.verified},
        "weighting": {"by": weighed.by, "why": weighed.why, "candidates": weighed.candidates},
        "soup": ensembling.cook(found, dataset),
    }
    if _DISTIL.value:
        console.heading("Distillation")
        summary["distilled"] = ensembling.distil(
            found,
            weighed.weights,
            dataset,
            Workdir(workdir.path / "distilled", checkpoint_every=workdir.checkpoint_every),
            options={"temperature": _TEMPERATURE.value, "share": _SOFT_SHARE.value},
            seeds=SEEDS.value,
        )
    names, labels = list(dataset.class_names), dataset.test.labels
    figures, arrays = gains.described(weighed.weights, probabilities, labels, names)
    for candidate in weighed.candidates.values():
        mixed = weighting.averaged(probabilities, np.array(candidate["weights"]))
        candidate["test"] = gains.figures(mixed, labels)
    summary |= figures
    learned = ensemble.learn_limits([of.path for of in found], weighed.weights, workdir=workdir)
    summary["temperature"] = of_test(
        learned, temperature.logarithms(arrays["probabilities"]), labels
    )
    if _DISTIL.value:
        summary["distilled"]["kept"] = gains.kept(summary["distilled"]["accuracy"], summary)
    summary |= {"seconds": round(time.perf_counter() - started, 3)} | environment()
    value = summary["temperature"]["value"]
    predictions.write(workdir, dataset, arrays["probabilities"], temperature=value)
    workdir.write_arrays("predictions.npz", **arrays)
    _finish(workdir, settings, weighed.weights, summary)


def _of_folds(found: list[Member], settings: dict[str, Any], workdir: Workdir) -> None:
    """Joins the members of a cross-validation, which leaves no example that none trained on."""
    if _DISTIL.value or _WEIGHTING.value in ("fitted", "greedy"):
        asked = "distil" if _DISTIL.value else f"weighting={_WEIGHTING.value}"
        raise UserError(
            f"`{asked}` needs examples that no member trained on, and members of different folds "
            "leave none; leave it out."
        )
    equal = np.full(len(found), 1 / len(found))
    ensemble.learn_limits([member.path for member in found], equal, workdir=workdir)
    summary = _facts(found, workdir, equal) | {
        "dataset": found[0].config.data.dataset,
        "weighting": {"by": "equal", "why": folds.WHY},
        **folds.described(found),
    }
    _finish(workdir, settings, equal, summary | environment())


def _facts(found: list[Member], workdir: Workdir, weights: np.ndarray) -> dict[str, Any]:
    """Returns what a summary says of the members."""
    places = ensemble.entries(
        [m.path for m in found], [m.digest for m in found], folder=workdir.path
    )
    named = members.names([member.path for member in found])
    rows = zip(places, named, found, weights.tolist(), strict=True)
    return {
        "run": f"ensemble of {len(found)}",
        "members": [
            place
            | {"name": name, "weight": weight, "seed": member.config.train.seed}
            | {"validation_accuracy": member.summary.get("validation_accuracy")}
            for place, name, member, weight in rows
        ],
        "config": found[0].config.to_json(),
    }


def _finish(
    workdir: Workdir, settings: dict[str, Any], weights: np.ndarray, summary: dict[str, Any]
) -> None:
    """Writes summary and record, the record last; shows and draws what they say."""
    workdir.write_json("summary.json", summary)
    out_flag.write_json(summary)
    workdir.write_json("ensemble.json", settings | {"weights": weights.tolist()})
    closing(summary)
    if FIGURES.value and "by_size" in summary:
        console.paths("Figures", draw_ensemble(workdir, summary))


def _check_flags() -> None:
    """Raises a UserError for flags that mean nothing here, or not beside the others."""
    for name in _NOT_HERE:
        if flags.FLAGS[name].present:
            raise UserError(f"--{name} is not for ensembles; leave it out.")
    if not _MEMBERS.value:
        raise UserError("no members are given; add --members=RUN,RUN, folders of finished runs.")
    if SEEDS.value is not None and SEEDS.value < 1:
        raise UserError(f"--seeds={SEEDS.value} cannot be used; it must be at least 1.")
    of_student = (*_OF_DISTILLING, *settings_by_name())
    given = [name for name in of_student if flags.FLAGS[name].present]
    if given and not _DISTIL.value:
        raise UserError(f"--{given[0]} is for the student; add --distil or leave it out.")
    distil.require(temperature=_TEMPERATURE.value, share=_SOFT_SHARE.value)
    out_flag.require_writable()


def _help() -> str:
    own = ("members", "best", "weighting", "workdir", "figures", "out")
    groups = {
        "The ensemble": own,
        "Data": ("data_dir", "raw_dir", "offline", "workers", "verify"),
        "The student": ("distil", *_OF_DISTILLING, *settings_by_name()),
    }
    return cli.help_text(__doc__, groups)


if __name__ == "__main__":
    cli.run(main, help_of=_help)

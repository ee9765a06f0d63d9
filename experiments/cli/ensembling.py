"""The decisions of an ensemble that need data: weights, soup and distilled network."""

import functools
import hashlib
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.cli import flags as cli
from experiments.cli import origins
from imgcls_jax.config import Config, settings_by_name
from imgcls_jax.data import Dataset, Split
from imgcls_jax.errors import Interrupted, UserError
from imgcls_jax.predict import gains, weighting
from imgcls_jax.predict.ensemble import Ensemble, over
from imgcls_jax.predict.members import Member
from imgcls_jax.train import run, soup
from imgcls_jax.train.build import training_splits
from imgcls_jax.train.distil import Teacher
from imgcls_jax.train.kept import require_same_data, require_same_teacher
from imgcls_jax.train.repeat import of_one
from imgcls_jax.workdir import Workdir

WEIGHTINGS = ("fitted", "greedy", "equal")
_HELD_OUT = ("hold_out", "split_seed")


def load_data(members: list[Member]) -> Dataset:
    """Loads the members' data.

    Raises:
      UserError: if a member was made of other data.
    """
    first = members[0]
    kept = {name: v for name, v in first.config.flat().items() if name in _of_data()}
    for member in members[1:]:
        for name in kept:
            here = member.config.flat()[name]
            if here != kept[name]:
                raise UserError(
                    f"{member.path} and {first.path} are of different data ({name} is {here} and "
                    f"{kept[name]}); give `members` of one data set."
                )
    dataset = cli.load_dataset(first.config, begun=True)
    for member in members:
        require_same_data(Workdir(member.path), dataset)
    return dataset


def _of_data() -> set[str]:
    """Returns the settings that members must share: all of data but what is held out, and how."""
    own = {name for name, (section, _) in settings_by_name().items() if section == "data"}
    return own - {*_HELD_OUT, "feed", "random_crop"}


def common_validation(members: list[Member], dataset: Dataset) -> tuple[Split | None, str]:
    """Returns the examples that no member trained on, or None and why there are none."""
    configs = [member.config for member in members]
    parts = {(of.data.hold_out, of.data.split_seed) for of in configs if of.data.hold_out}
    if dataset.validation is None and len(parts) > 1:
        return None, "the members held out different parts of the training set"
    if dataset.validation is None and not all(of.data.hold_out for of in configs):
        return None, "the members did not all hold out a part of the training set"
    _, watched = training_splits(configs[0].replace(watch_test=False), dataset)
    return watched.split, "no member trained on it"


class Weighed(NamedTuple):
    """The members' weights.

    Attributes:
      weights: (K,), of sum 1.
      by: one of WEIGHTINGS.
      why: the sentence that says which examples decided, or why none did.
      candidates: by the names in WEIGHTINGS, `weights` and, where there is a common validation
        split, `validation`: accuracy, loss and ece on it.
    """

    weights: np.ndarray
    by: str
    why: str
    candidates: dict[str, dict[str, Any]]


def weigh(members: list[Member], dataset: Dataset, asked: str | None) -> Weighed:
    """Decides the weights on the members' common validation split; they are equal without one.

    Args:
      asked: one of WEIGHTINGS; None fits weights where there is a validation split.

    Raises:
      UserError: if weights are asked for that there is nothing to decide by.
    """
    split, why = common_validation(members, dataset)
    equal = np.full(len(members), 1 / len(members))
    if split is None:
        if asked in ("fitted", "greedy"):
            raise UserError(
                f"`weighting={asked}` needs a validation split that the members share, and {why}; "
                "leave it out, or train the members with one `hold_out`."
            )
        why = f"equal weights, since {why}"
        return Weighed(equal, "equal", why, {"equal": {"weights": equal.tolist()}})
    probabilities = np.stack([over(_network(member), split.images) for member in members])
    found = {
        "fitted": weighting.fit(probabilities, split.labels),
        "greedy": weighting.select(probabilities, split.labels).weights,
        "equal": equal,
    }
    candidates = {
        name: {
            "weights": weights.tolist(),
            "validation": gains.figures(weighting.averaged(probabilities, weights), split.labels),
        }
        for name, weights in found.items()
    }
    by = asked or "fitted"
    return Weighed(found[by], by, f"{len(split):,} validation examples: {why}", candidates)


def _network(member: Member) -> Any:
    return jax.jit(lambda images: jax.nn.softmax(member.restored.logits(images)))


def cook(members: list[Member], dataset: Dataset) -> dict[str, Any]:
    """Makes a soup of the members that share a start, and returns its figures.

    It is greedy where there is a common validation split, else uniform.

    Returns:
      `kind` and `members` (their numbers), then the figures on the test set; or only `why_not`.
    """
    if (why := soup.apart([member.config for member in members])) is not None:
        return {"why_not": why}
    network = members[0].restored.network
    variables = [member.restored.variables for member in members]
    train, _ = training_splits(members[0].config.replace(watch_test=False), dataset)
    mix = soup.make_soup(network, train.images)
    compute = jax.jit(lambda of, images: jax.nn.softmax(network.evaluate_fn(of, images)))

    def figures(of: Any, split: Split) -> dict[str, float]:
        return gains.figures(over(lambda images: compute(of, images), split.images), split.labels)

    split, _ = common_validation(members, dataset)
    chosen, found, kind = list(range(len(members))), mix(variables), "uniform"
    result = {}
    if split is not None:
        greedy = soup.greedy(
            variables, soup=mix, accuracy_of=lambda of: figures(of, split)["accuracy"]
        )
        result["uniform"] = {"validation": figures(found, split)}
        chosen, found, kind = greedy.chosen, greedy.variables, "greedy"
        result["validation"] = figures(found, split)
    return {"kind": kind, "members": chosen, **result, **figures(found, dataset.test)}


def distil(
    members: list[Member],
    weights: np.ndarray,
    dataset: Dataset,
    workdir: Workdir,
    *,
    options: dict[str, Any],
    seeds: int | None,
) -> dict[str, Any]:
    """Trains a network on what the ensemble says, in a run's folder, and returns its figures.

    Args:
      workdir: of the student; its settings are the first member's and those on the command line.
      options: `temperature` and `share` of the teacher.
      seeds: how many students, each in a folder of its own; None trains one.

    Raises:
      UserError: for settings that do not fit, or a folder that holds another run.
    """
    config = _config_of_student(members[0].config)
    ensemble = Ensemble(tuple(member.restored for member in members), tuple(weights.tolist()))
    teacher = Teacher(ensemble.log_probabilities, name=_name(members, weights), **options)
    folders = [workdir]
    if seeds is not None:
        folders = [
            of_one(workdir, "seed", config.replace(seed=config.train.seed + number))
            for number in range(seeds)
        ]
    for folder in folders:
        require_same_teacher(folder, teacher.facts())
    make = functools.partial(run.make_trainer, config, dataset, teacher=teacher)
    name = f"distilled from {len(members)} networks"
    common = {"name": name, "dataset": dataset, "shared_trainer": make}
    try:
        if seeds is None:
            runs = [run.train(config, workdir=workdir, **common)]
        else:
            run.repeat(config, seeds=seeds, workdir=workdir, **common)
            runs = [folder.summary() for folder in folders]
    except Interrupted as stop:
        raise Interrupted(
            f"stopped while distilling; run the same command with `workdir={workdir.path.parent}` "
            "to continue."
        ) from stop
    figures = {
        "accuracy": [found["test_accuracy"] for found in runs],
        "loss": [found["test_loss"] for found in runs],
        "ece": [found["calibration"]["ece"] for found in runs],
    }
    return {
        "config": config.to_json(),
        "teacher": teacher.facts(),
        "train_seconds": [round(found["train_seconds"], 3) for found in runs],
        "seeds": [found["seed"] for found in runs],
        "values": figures,
        **{name: float(np.mean(values)) for name, values in figures.items()},
    }


def _config_of_student(first: Config) -> Config:
    """Returns the first member's settings with those of the command line."""
    given = cli.given_settings()
    if wrong := [name for name in given if name in _of_data()]:
        raise UserError(f"`{wrong[0]}` is that of the members; leave it out.")
    with origins.named(first.flat(), "the first member"):
        return first.replace(**given)


def _name(members: list[Member], weights: np.ndarray) -> str:
    """Returns what tells an ensemble from another: of its members' digests and weights."""
    text = " ".join(f"{m.digest}:{w:.9g}" for m, w in zip(members, weights, strict=True))
    return hashlib.sha256(text.encode()).hexdigest()[:16]

"""Makes a configuration executable for one data set: splits, feeds, compiles."""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

import flax
import jax

from imgcls_jax import models, sharding, steps
from imgcls_jax.config import Config
from imgcls_jax.data.dataset import Dataset, Split, hold_out
from imgcls_jax.data.resident import Resident
from imgcls_jax.errors import UserError
from imgcls_jax.optim.params import path_mask
from imgcls_jax.train import features
from imgcls_jax.train.distil import Teacher, with_teacher
from imgcls_jax.train.feeds import evaluation_batch_size, make_feed
from imgcls_jax.train.setup import Setup, make_setup
from imgcls_jax.train.streams import explained
from imgcls_jax.train.trainer import Carry, Trainer, Watched
from imgcls_jax.train.waiting import stage


def build(
    config: Config,
    dataset: Dataset,
    *,
    pretrained: Mapping[str, Any] | None = None,
    teacher: Teacher | None = None,
    resumed: bool = False,
    check: Callable[[], None] = lambda: None,
) -> Trainer:
    """Makes a configuration executable: splits the data, puts it where it is fed from, compiles.

    Args:
      dataset: its test set is used only where the settings say that it is watched.
      pretrained: variables to start from, see `imgcls_jax.pretrained`; the others are drawn.
      teacher: whom to learn from beside the labels, if anyone; see `imgcls_jax.train.distil`.
      resumed: whether a checkpoint will give every variable, so that none is drawn.
      check: as `Setup` has it.

    Raises:
      UserError: if the settings do not fit each other, the data or how JAX is set.
    """
    _require_jax_as_it_is()
    config.evaluation.top_k_of(dataset.num_classes)  # before a training rather than after it
    train, watched = training_splits(config, dataset)
    with explained():  # statistics of pixels may have to be taken from files
        of = {"train": train, "num_classes": dataset.num_classes}
        asked = {"config": config, "check": check, **of}
        teach = teacher and functools.partial(with_teacher, teacher, **asked)
        setup = make_setup(config, **of, teach=teach)._replace(check=check)
    started, known = time.perf_counter(), _known(pretrained, resumed=resumed)
    init, shapes = _make_init(config, setup, known=known)
    init_seconds = time.perf_counter() - started
    begin, place, feature_seconds, head_seconds = None, None, [], []
    if pretrained is not None:
        begin = functools.partial(features.overlay, pretrained=pretrained)
        place = _placing_features(config, setup, train, init, begin, feature_seconds)
        if config.train.head_epochs:
            found, started = place(train), time.perf_counter()
            fit_head = _fitting_the_head(config, setup, found=found, state=shapes[0])
            begin = _timed(begin, fit_head, head_seconds)
            init_seconds += time.perf_counter() - started
    of = {"carry": shapes, "place": place if config.features_once else None}
    feed = make_feed(config, setup, train, **of)
    if watched is not None:
        feed.prepare(watched.split)
    return Trainer(
        config=config,
        setup=setup,
        feed=feed,
        train=train,
        watched=watched,
        num_classes=dataset.num_classes,
        parameters=models.count_parameters(shapes[0].params),
        init=init,
        begin=begin,
        feature_seconds=feature_seconds,
        head_seconds=head_seconds,
        init_seconds=init_seconds,
        teacher=teacher and teacher.facts(),
    )


def _require_jax_as_it_is() -> None:
    """Raises UserError where JAX is set to compute otherwise than trainings do."""
    for name, does in (
        ("jax_enable_x64", "computes in float32"),
        ("jax_disable_jit", "compiles its programs before they run"),
    ):
        if getattr(jax.config, name):
            raise UserError(
                f"training {does}, and JAX is set otherwise; unset {name.upper()}, or set {name} "
                "to False in jax.config."
            )


def training_splits(config: Config, dataset: Dataset) -> tuple[Split, Watched | None]:
    """Returns the split to train on, and the one to evaluate after every epoch.

    The latter is the data set's own validation split, else a part held out of the training split,
    else nothing, or with `watch_test` the test set.

    Raises:
      UserError: if there is nothing to choose by, or fewer examples than a batch has.
    """
    train, validation = dataset.train, dataset.validation
    of, batch_size = config.data, config.train.batch_size
    if validation is None and of.hold_out:
        train, validation = hold_out(train, fraction=of.hold_out, seed=of.split_seed)
    chooses = config.evaluation.evaluate == "best" or config.train.patience
    if validation is None and chooses:
        raise UserError(
            f"{dataset.name} has no validation split to choose by; add `hold_out=0.1`, say."
        )
    if batch_size > len(train) and len(train) < len(dataset.train):
        raise UserError(
            f"`hold_out={of.hold_out:g}` leaves {len(train)} of {len(dataset.train)} examples "
            f"to train on, fewer than `batch_size={batch_size}`; make one of them smaller."
        )
    if batch_size > len(train):
        raise UserError(
            f"`batch_size={batch_size}` is larger than the training set of {len(train)} "
            f"examples; choose at most {len(train)}."
        )
    if config.evaluation.watch_test:
        return train, Watched("test", dataset.test)
    return train, None if validation is None else Watched("validation", validation)


def without_evaluation(config: Config, dataset: Dataset) -> tuple[Config, Dataset]:
    """Returns settings and data to build a trainer of that trains alike and evaluates nothing."""
    train, _ = training_splits(config, dataset)
    config = config.replace(hold_out=0.0, patience=0, evaluate="last", watch_test=False)
    return config, dataclasses.replace(dataset, train=train, validation=None)


def _known(
    pretrained: Mapping[str, Any] | None, *, resumed: bool
) -> Callable[[tuple[str, ...]], bool] | None:
    """Returns whether a variable need not be drawn, by its path; None where all have to be."""
    if resumed:
        return lambda path: True
    return pretrained and set(flax.traverse_util.flatten_dict(dict(pretrained))).__contains__


def _make_init(
    config: Config, setup: Setup, *, known: Callable[[tuple[str, ...]], bool] | None
) -> tuple[Callable[[jax.Array], Carry], Carry]:
    """Builds key -> the state before training and sums of nothing, compiled; also their shapes.

    The draws of published weights' networks take 20 times as long to compile as that of a head.

    Args:
      known: see `steps.init_state`.
    """

    mesh, chosen = setup.mesh, config.train.shard_params
    whole = sharding.replicated(mesh)

    def initial(key: jax.Array) -> Carry:
        state = steps.init_state(
            model=setup.network.model,
            tx=setup.tx,
            key=key,
            image_shape=setup.network.image_shape,
            averaged=bool(config.optim.ema),
            known=known,
        )
        return state, steps.zero_metrics()

    with stage("preparing the network"):
        key = sharding.shaped(jax.eval_shape(lambda: jax.random.key(0)), whole)
        of_state = whole
        if chosen is not None:
            shapes, _ = jax.eval_shape(initial, key)
            of_state = sharding.of_state(mesh, shapes, path_mask(shapes.params, chosen))
        traced = jax.jit(initial, out_shardings=(of_state, whole)).trace(key)
        state, sums = traced.out_info
        shapes = sharding.shaped(state, of_state), sharding.shaped(sums, whole)
        compiled = traced.lower().compile()
    setup.check()
    return compiled, shapes


def _placing_features(
    config: Config,
    setup: Setup,
    train: Split,
    init: Callable[[jax.Array], Carry],
    begin: Callable[[steps.TrainState], steps.TrainState],
    seconds: list[float],
) -> Callable[[Split], Resident]:
    """Builds a function that puts a split's features, by the pretrained weights, on the device."""

    @functools.cache
    def prepared():
        variables = begin(init(jax.random.key(0))[0]).variables
        size = evaluation_batch_size(config, train)
        extract = features.make_extract(
            apply_fn=setup.network.apply_fn,
            batch_size=size,
            mesh=setup.mesh,
            check=setup.check,
        )
        return variables, extract

    def place(split: Split) -> Resident:
        started = time.perf_counter()
        variables, extract = prepared()
        found = extract(variables, split, f"features of {len(split):,} images")
        seconds.append(time.perf_counter() - started)
        return found

    return place


def _fitting_the_head(
    config: Config, setup: Setup, *, found: Resident, state: steps.TrainState
) -> Callable[[steps.TrainState], steps.TrainState]:
    """Builds a function that fits a state's head to the features found; compiled here."""
    of = config.train
    with stage("compiling the fit of the head"):
        fit_head = features.make_fit_head(
            model=setup.network.model,
            binary=config.model.head == "binary",
            loss_fn=setup.loss_fn,
            of=features.HeadFit(of.head_epochs, of.head_lr, of.batch_size, of.sampler),
            mesh=setup.mesh,
            found=found,
            state=state,
            check=setup.check,
        )
    setup.check()
    return fit_head


def _timed(
    begin: Callable[[steps.TrainState], steps.TrainState],
    fit_head: Callable[[steps.TrainState], steps.TrainState],
    seconds: list[float],
) -> Callable[[steps.TrainState], steps.TrainState]:
    """Builds state -> state by the one and then the other, whose seconds are noted."""

    def both(state: steps.TrainState) -> steps.TrainState:
        state = jax.block_until_ready(begin(state))
        started = time.perf_counter()
        with stage("fitting the head"):
            state = jax.block_until_ready(fit_head(state))
        seconds.append(time.perf_counter() - started)
        return state

    return both

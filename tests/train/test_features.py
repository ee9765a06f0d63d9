"""Transfer learning: what is frozen stays, features equal the network's, the head alone is it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import begun, same_bits

from imgcls_jax import models, optim, steps
from imgcls_jax.config import Config
from imgcls_jax.data import Dataset, Split, resident
from imgcls_jax.errors import UserError
from imgcls_jax.losses import cross_entropy
from imgcls_jax.models import freezing
from imgcls_jax.models.resnet import ResNet
from imgcls_jax.train.build import build
from imgcls_jax.train.features import make_extract, merge

STAGES = {"stem": ("Conv_0",), "stage1": ("Block_0", "Block_1"), "head": ("Dense_0",)}
RESNET = ResNet(num_classes=3, stage_sizes=(1, 1, 1), width=16, stem="cifar", padded_shortcut=True)
LABELS = np.arange(24, dtype=np.int32) % 3
# Noise, brighter in the channel of the label.
IMAGES = np.random.default_rng(0).integers(0, 128, (24, 16, 16, 3), dtype=np.uint8)
IMAGES = IMAGES + (127 * np.eye(3, dtype=np.uint8)[LABELS])[:, None, None]


def make_variables(model):
    """Of a network whose statistics are not those of a fresh one."""
    found = jax.jit(model.init)(jax.random.key(1), jnp.zeros((1, 16, 16, 3)))
    rng = np.random.default_rng(2)
    # Means near 0: rectifiers behind larger ones would never fire.
    low, high = {"mean": -0.1, "var": 0.5}, {"mean": 0.1, "var": 1.5}
    stats = jax.tree_util.tree_map_with_path(
        lambda path, x: jnp.asarray(
            rng.uniform(low[path[-1].key], high[path[-1].key], x.shape), x.dtype
        ),
        found["batch_stats"],
    )
    return {"params": found["params"], "batch_stats": stats}


@pytest.fixture(scope="module")
def variables():
    return make_variables(RESNET)


@pytest.fixture(scope="module")
def loaded():
    """What a file of weights for `BASE` gives: all but the head."""
    found = make_variables(models.create("resnet20", num_classes=3))
    params = {name: value for name, value in found["params"].items() if name != "Dense_0"}
    return {"params": params, "batch_stats": found["batch_stats"]}


@pytest.fixture(scope="module")
def photos():
    split = Split(IMAGES, LABELS)
    return Dataset("photos", split, split, ("a", "b", "c"), "made up", None, validation=split)


BASE = Config.of(
    dataset="folder",
    image_size=16,
    model="resnet20",
    weights="file.safetensors",
    trainable="head",
    lr=0.01,
    batch_size=8,
    epochs=2,
)


def test_rate_factors_by_hand():
    assert freezing.rate_factors(STAGES, trainable="all", layer_decay=1.0) == {}
    assert freezing.rate_factors(STAGES, trainable="all", layer_decay=0.5) == {
        "^(Block_0|Block_1)/": 0.5,
        "^(Conv_0)/": 0.25,
    }
    assert freezing.rate_factors(STAGES, trainable="stage1", layer_decay=0.5) == {
        "^(Block_0|Block_1)/": 0.5,
        "^(Conv_0)/": 0.0,
    }
    assert freezing.rate_factors(STAGES, trainable="head", layer_decay=1.0) == {
        "^(Block_0|Block_1)/": 0.0,
        "^(Conv_0)/": 0.0,
    }
    with pytest.raises(UserError, match="unknown `trainable=stage9`; choose one of: all, stem"):
        freezing.frozen_stages(STAGES, "stage9")


def test_features_and_head_are_the_network(variables):
    images = steps.to_unit_interval(jnp.asarray(IMAGES))
    features = freezing.features_of(RESNET.apply)(variables, images)
    assert features.shape == (24, 64)
    logits = freezing.head_of(RESNET)(variables, features)
    np.testing.assert_allclose(logits, RESNET.apply(variables, images), rtol=1e-5, atol=1e-5)


def test_the_heads_dropout_keeps_the_expectation(variables):
    model = models.create("mobilenet_v2", num_classes=3, dropout=0.4)
    params = {"head": {"kernel": jnp.eye(64, 3), "bias": jnp.zeros(3)}}
    head = freezing.head_of(model)
    keys = jax.random.split(jax.random.key(0), 4000)
    features = jnp.ones((1, 64))
    drawn = jax.vmap(lambda k: head({"params": params}, features, train=True, rngs={"dropout": k}))(
        keys
    )
    assert set(np.unique(np.round(drawn, 4))) == {0.0, np.float32(1.6667)}
    np.testing.assert_allclose(drawn.mean((0, 1)), 1.0, atol=0.06)


def test_every_network_says_what_dropout_is_before_its_head():
    for name, expected in (("efficientnet_b0", 0.2), ("densenet121", 0.0), ("resnet18", 0.0)):
        model = models.create(name, num_classes=3)
        assert getattr(model, "head_dropout", model.dropout) == expected
    assert models.create("efficientnet_b4", num_classes=3, dropout=0.1).head_dropout == 0.1


def test_norms_that_are_fixed_use_and_keep_their_statistics(variables):
    images = steps.to_unit_interval(jnp.asarray(IMAGES))
    fixed = freezing.with_fixed_norms(RESNET.apply)
    logits, updated = fixed(variables, images, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(logits, RESNET.apply(variables, images), rtol=1e-5, atol=1e-5)
    assert same_bits(updated["batch_stats"], variables["batch_stats"])
    free, _ = RESNET.apply(variables, images, train=True, mutable=["batch_stats"])
    assert not np.allclose(free, logits, atol=1e-2)


def test_frozen_parameters_have_no_gradient_no_state_and_stay(variables):
    stages = RESNET.stages()
    last = list(stages)[-2]
    frozen = {m for s in freezing.frozen_stages(stages, last) for m in stages[s]}
    factors = freezing.rate_factors(stages, trainable=last, layer_decay=1.0)
    tx = optim.create("adam", learning_rate=0.01, lr_scales=factors)
    apply_fn = freezing.with_fixed_norms(freezing.freeze(RESNET.apply, frozenset(frozen)))
    step = steps.make_train_step(apply_fn=apply_fn, tx=tx)
    state = steps.init_state(
        model=RESNET, tx=tx, key=jax.random.key(0), image_shape=(16, 16, 3)
    ).replace(params=jax.tree.map(jnp.copy, variables["params"]))
    trained = models.count_parameters({k: v for k, v in state.params.items() if k not in frozen})
    # Adam's two moments, the count and the labels: nothing of a frozen parameter's size.
    assert models.count_parameters(state.opt_state) < 2 * trained + 10
    after, _ = step(state, {"image": jnp.asarray(IMAGES), "label": jnp.asarray(LABELS)})
    for name, value in after.params.items():
        assert same_bits(value, variables["params"][name]) == (name in frozen), name


def test_norms_of_frozen_stages_keep_their_statistics(variables):
    stages = RESNET.stages()
    frozen = {m for s in freezing.frozen_stages(stages, "stage3") for m in stages[s]}
    images = steps.to_unit_interval(jnp.asarray(IMAGES))
    apply_fn = freezing.freeze(RESNET.apply, frozenset(frozen))
    _, updated = apply_fn(variables, images, train=True, mutable=["batch_stats"])
    for name, stats in updated["batch_stats"].items():
        assert same_bits(stats, variables["batch_stats"][name]) == (name in frozen), name


@pytest.mark.slow
def test_frozen_gradients_are_those_of_the_whole_where_it_trains(variables):
    stages = RESNET.stages()
    frozen = frozenset(m for s in freezing.frozen_stages(stages, "stage3") for m in stages[s])
    images, labels = steps.to_unit_interval(jnp.asarray(IMAGES)), jnp.asarray(LABELS)

    def gradient(apply_fn):
        def loss(params):
            return cross_entropy(apply_fn({**variables, "params": params}, images), labels).mean()

        return jax.grad(loss)(variables["params"])

    whole, part = gradient(RESNET.apply), gradient(freezing.freeze(RESNET.apply, frozen))
    for name, leaves in part.items():
        if name in frozen:
            assert not any(np.any(leaf) for leaf in jax.tree.leaves(leaves)), name
        else:
            jax.tree.map(
                lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
                leaves,
                whole[name],
            )


def test_a_binary_head_is_sigmoid_cross_entropy():
    z = jnp.array([[-2.0], [0.0], [3.0]])
    logits = freezing.with_binary_head(lambda variables, images: images)({}, z)
    labels = jnp.array([0, 1, 0])
    p = 1 / (1 + np.exp(-np.array([-2.0, 0.0, 3.0])))
    np.testing.assert_allclose(jax.nn.softmax(logits)[:, 1], p, rtol=1e-6)
    expected = -np.log([1 - p[0], p[1], 1 - p[2]])
    np.testing.assert_allclose(cross_entropy(logits, labels), expected, rtol=1e-5)


@pytest.mark.slow
def test_fixed_features_train_as_the_frozen_network_does(photos, loaded):
    """The same head from features computed once as from images pushed through every step."""
    heads, logits = [], []
    for cache in (True, False):
        config = BASE.replace(cache_features=cache)
        trainer = build(config, photos, pretrained=loaded)
        state, sums = begun(trainer, 3)
        for epoch in range(2):
            state, sums = trainer.feed.train((state, sums), epoch, 0, 3)
        heads.append(state.params["Dense_0"])
        logits.append(trainer.feed.evaluate(trainer.feed.averaged(state), photos.test)[1])
        assert same_bits(state.params["Block_0"], loaded["params"]["Block_0"])
        assert same_bits(state.batch_stats, loaded["batch_stats"])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), *heads)
    np.testing.assert_allclose(*logits, rtol=1e-4, atol=1e-4)
    fresh = begun(build(BASE, photos, pretrained=loaded), 3)[0]
    assert not np.allclose(heads[0]["kernel"], fresh.params["Dense_0"]["kernel"], atol=1e-3)


@pytest.mark.slow
def test_the_head_comes_first_where_epochs_are_given_to_it(photos, loaded):
    config = BASE.replace(trainable="all", head_epochs=30, head_lr=0.01)
    without = config.replace(head_epochs=0)
    random, _ = begun(build(without, photos, pretrained=loaded), 3)
    trainer = build(config, photos, pretrained=loaded)
    state, _ = begun(trainer, 3)
    assert same_bits(state.params["Block_0"], random.params["Block_0"])

    def loss(state):
        sums, _ = trainer.feed.evaluate(state, photos.test)
        return steps.means(sums)["loss"]

    assert loss(state) < loss(random) - 0.1


@pytest.mark.slow
def test_evaluation_enlarges_photos_and_training_does_not(photos):
    config = BASE.replace(trainable="all", weights="none", eval_size=24)
    trainer = build(config, photos)
    state, _ = begun(trainer, 0)
    _, logits = trainer.feed.evaluate(state, photos.test)
    large = jax.image.resize(steps.to_unit_interval(jnp.asarray(IMAGES)), (24, 24, 24, 3), "linear")
    model = models.create("resnet20", num_classes=3)
    expected = model.apply(state.variables, large)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    after, same = (
        p.feed.train(begun(p, 0), 0, 0, 1)[0]
        for p in (trainer, build(config.replace(eval_size=None), photos))
    )
    assert same_bits(after.params, same.params)


def test_merging_refuses_what_does_not_fit(variables):
    params = {"a": {"kernel": jnp.zeros((2, 3))}}
    merged = merge(params, {"a": {"kernel": np.ones((2, 3))}})
    assert merged["a"]["kernel"].dtype == jnp.float32
    assert float(merged["a"]["kernel"].sum()) == 6
    with pytest.raises(ValueError, match="kernel"):
        merge(params, {"a": {"kernel": np.ones((3, 2))}})
    with pytest.raises(ValueError, match="b"):
        merge(params, {"b": {}})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model": "mlp"}, "`trainable` is not for `model=mlp`, which has no published stages"),
        ({"weights": "none"}, "`trainable=head` needs `weights`"),
        ({"head_epochs": 2}, "are for training more than the head"),
        ({"image_size": None}, "photos need `image_size`, such as 224"),
        ({"dataset": "digits"}, "digits comes in one size; leave out `image_size`"),
        ({"eval_size": 16}, "`eval_size=16` cannot be used; it must be above `image_size=16`"),
        ({"eval_size": 33}, "above `image_size=16` and at most twice that"),
        (
            {"eval_size": 20, "model": "cnn", "weights": "none", "trainable": "all"},
            "`eval_size` is for networks that take photos of any size",
        ),
        (
            {"dataset": "digits", "image_size": None, "eval_size": 32},
            "`eval_size` is for photos",
        ),
        ({"fold": 1}, "`fold=1` cannot be used; it must be from 0 to `folds` - 1"),
        ({"ema": 0.9}, "`ema` is for networks that train"),
        ({"trainable": "all", "layer_decay": 1.5}, "`layer_decay=1.5` cannot be used"),
        (
            {"trainable": "stage2", "lr_scale": ("^stem=0.1",)},
            "`lr_scale` takes the place of `trainable` and `layer_decay`",
        ),
        (
            {"trainable": "all", "head_epochs": 2, "weights": "none"},
            "`head_epochs` is for networks with `weights`",
        ),
        ({"watch_test": True, "evaluate": "best"}, "`watch_test` is for runs that choose nothing"),
        ({"patience": 3}, "`patience` waits past the best epoch; add `evaluate=best`"),
        ({"resize": "squeeze"}, "unknown `resize=squeeze`; choose one of: crop, stretch, pad"),
    ],
)
def test_settings_that_do_not_go_together_are_one_sentence(changes, sentence):
    with pytest.raises(UserError) as raised:
        BASE.replace(**changes)
    assert sentence in str(raised.value)


def test_binary_is_for_two_classes(photos):
    with pytest.raises(UserError, match="`head=binary` is for two classes, and these are 3"):
        build(BASE.replace(head="binary"), photos, pretrained={"params": {}})


def test_patience_ends_a_run_that_no_longer_improves():
    from imgcls_jax.train.ledger import is_over

    history = [{"validation_accuracy": a} for a in (0.1, 0.5, 0.4, 0.5)]
    assert [is_over(history[:n], 2) for n in range(5)] == [False, False, False, False, True]
    assert not is_over(history, 3)
    assert not is_over([{}] * 9, 0)


def test_resident_features_are_rows(photos, variables):
    extract = make_extract(apply_fn=RESNET.apply, batch_size=10)
    source = extract(variables, photos.train, "train")
    images = steps.to_unit_interval(jnp.asarray(IMAGES))
    expected = freezing.features_of(RESNET.apply)(variables, images)
    assert len(source) == 24
    np.testing.assert_allclose(source.pixels, expected, rtol=1e-5, atol=1e-5)
    batch = resident.take(source, jnp.array([3, 0]))
    assert batch["image"].shape == (2, 64)
    np.testing.assert_array_equal(batch["label"], LABELS[[3, 0]])

"""Distillation: loss and gradient by hand, whom the step asks, whose folder a student's is."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import SMALL, begun

from imgcls_jax.data import Dataset, Split
from imgcls_jax.errors import Interrupted, UserError
from imgcls_jax.losses import cross_entropy
from imgcls_jax.metrics import batch_metrics
from imgcls_jax.train import run
from imgcls_jax.train.build import build
from imgcls_jax.train.distil import Teacher, distillation_loss, with_teacher
from imgcls_jax.train.kept import network_record, require_same_teacher
from imgcls_jax.workdir import Workdir

RNG = np.random.default_rng(0)
LOGITS, SAID = RNG.normal(0, 2, (2, 6, 4))
HARD = np.eye(4)[[0, 1, 2, 3, 0, 1]]


def softmax(x):
    exponentials = np.exp(x - x.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def labels():
    return jnp.asarray(np.concatenate([HARD, np.log(softmax(SAID))], axis=1), jnp.float32)


@pytest.mark.parametrize(("temperature", "share"), [(1.0, 1.0), (4.0, 0.9), (0.5, 0.3), (3.0, 0.0)])
def test_the_gradient_is_that_of_cross_entropy_with_soft_labels(temperature, share):
    """d/dz = (1 - share) (softmax(z) - y) + share T (softmax(z / T) - softmax(said / T))."""
    loss = distillation_loss(cross_entropy, temperature=temperature, share=share)
    found = jax.grad(lambda z: loss(z, labels()).sum())(jnp.asarray(LOGITS, jnp.float32))
    soft = softmax(LOGITS / temperature) - softmax(SAID / temperature)
    expected = (1 - share) * (softmax(LOGITS) - HARD) + share * temperature * soft
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_the_loss_is_the_sum_of_both_parts():
    loss = distillation_loss(cross_entropy, temperature=2.0, share=0.25)
    targets, logs = softmax(SAID / 2), np.log(softmax(LOGITS / 2))
    hard = -(HARD * np.log(softmax(LOGITS))).sum(1)
    expected = 0.75 * hard + 0.25 * 4 * -(targets * logs).sum(1)
    np.testing.assert_allclose(loss(jnp.asarray(LOGITS), labels()), expected, rtol=1e-5)


def test_accuracy_counts_the_labels_whatever_the_teacher_says():
    sure = jnp.asarray(np.concatenate([HARD, np.zeros((6, 4))], axis=1))  # log 1 for every class
    counts = batch_metrics(jnp.zeros(6), jnp.asarray(HARD), sure)
    assert int(counts["correct"]) == 6


def asked(images):
    """A teacher that tells a batch by its pixels: its log-probabilities are of their sums."""
    total = images.reshape(len(images), -1).sum(1, keepdims=True)
    return jax.nn.log_softmax(total * jnp.arange(10.0)[None] / 100)


def small(count=40):
    images = RNG.integers(0, 256, (count, 8, 8, 1), np.uint8)
    split = Split(images, (np.arange(count) % 10).astype(np.int32))
    return Dataset("small", split, split, tuple("abcdefghij"), "made up", None)


@pytest.mark.parametrize(
    "augment", [(), ("flip", "shift:2"), pytest.param(("mixup:1",), marks=pytest.mark.slow)]
)
def test_the_teacher_is_asked_for_the_images_that_the_student_sees(augment):
    dataset = small()
    config = SMALL.replace(augment=augment)
    seen, of = [], {"config": config, "train": dataset.train, "num_classes": 10}

    def changed(key, batch):
        image = jnp.flip(batch["image"], 2) * 0.5
        seen.append(image)
        return {**batch, "image": image}

    _, labelled = with_teacher(
        Teacher(asked, "t"), cross_entropy, changed if augment else None, **of
    )
    index = jnp.array([3, 0, 39])
    images = jnp.asarray(dataset.train.images[index], jnp.float32) / 255
    batch = {"image": images, "label": jnp.asarray(dataset.train.labels)[index], "index": index}
    found = labelled(jax.random.key(0), batch)
    assert found["label"].shape == (3, 20)
    np.testing.assert_array_equal(found["label"][:, :10].argmax(1), [3, 0, 9])
    expected = asked(seen[0] if augment else images)
    np.testing.assert_allclose(found["label"][:, 10:], expected, rtol=1e-5, atol=1e-5)


def test_a_stop_is_looked_for_after_every_batch_that_the_teacher_is_asked_for():
    asked_for = []

    def check():
        asked_for.append(None)
        raise Interrupted("stop")

    of = {"config": SMALL, "train": small(600).train, "num_classes": 10, "check": check}
    with pytest.raises(Interrupted):
        with_teacher(Teacher(asked, "t"), cross_entropy, None, **of)
    assert len(asked_for) == 1


def test_the_teacher_sees_the_part_that_a_random_crop_left():
    config = SMALL.replace(dataset="folder", image_size=8, feed="streamed", random_crop=0.5)
    train, teacher = small().train, Teacher(asked, "t")
    of = {"config": config, "train": train, "num_classes": 10}
    _, labelled = with_teacher(teacher, cross_entropy, None, **of)
    index = jnp.array([3, 0, 39])
    cropped = jnp.asarray(train.images[index], jnp.float32) / 510
    batch = {"image": cropped, "label": jnp.asarray(train.labels)[index], "index": index}
    found = labelled(jax.random.key(0), batch)["label"][:, 10:]
    np.testing.assert_allclose(found, asked(cropped), rtol=1e-5, atol=1e-5)


def test_without_a_share_the_student_learns_as_without_a_teacher(digits, small_trainer):
    teacher = Teacher(asked, "t", temperature=3.0, share=0.0)
    alone = small_trainer.feed.train(begun(small_trainer, 3), 0, 0, 5)
    trainer = build(SMALL, digits, teacher=teacher)
    taught = trainer.feed.train(begun(trainer, 3), 0, 0, 5)
    for ours, theirs in zip(
        jax.tree.leaves(taught[0].params), jax.tree.leaves(alone[0].params), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    assert int(taught[1]["correct"]) == int(alone[1]["correct"])


def test_a_students_folder_goes_on_with_its_teacher_alone(digits, small_trainer, tmp_path):
    config, common = SMALL.replace(epochs=1), {"name": "student", "dataset": digits}
    facts = Teacher(asked, "t", temperature=2.0, share=0.5).facts()
    assert facts == {"name": "t", "temperature": 2.0, "soft_share": 0.5}
    taught = dataclasses.replace(small_trainer, teacher=facts)
    folder = Workdir(tmp_path)
    folder.claim(config)
    folder.write_json("network.json", network_record(taught, digits))  # as if stopped there
    require_same_teacher(folder, facts)
    with pytest.raises(UserError, match="learns from other networks; go on with the command that"):
        run.train(config, workdir=folder, shared_trainer=lambda **_: small_trainer, **common)
    other = dataclasses.replace(small_trainer, teacher=facts | {"temperature": 3.0})
    with pytest.raises(UserError, match=r"learns from something else \(temperature 2.0\)"):
        run.train(config, workdir=folder, shared_trainer=lambda **_: other, **common)
    assert "teacher" not in network_record(small_trainer, digits)
    folder.write_json("network.json", network_record(small_trainer, digits))
    with pytest.raises(UserError, match=r"learns from something else \(the labels\)"):
        require_same_teacher(folder, facts)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"temperature": 0.0}, "`temperature=0` cannot be used"),
        ({"temperature": float("inf")}, "a finite number above 0"),
        ({"share": 1.5}, "`soft_share=1.5` cannot be used; it must be from 0 to 1"),
    ],
)
def test_a_teacher_of_no_use_is_refused(options, says):
    with pytest.raises(UserError, match=says):
        Teacher(asked, "t", **options)

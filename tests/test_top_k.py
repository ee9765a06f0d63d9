"""Top-k accuracy: against scikit-learn, ties, NaN, filled-up batches, several seeds and folds."""

import numpy as np
import pytest
from conftest import SMALL
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import top_k_accuracy_score

from imgcls_jax import metrics
from imgcls_jax.config import Config
from imgcls_jax.errors import UserError
from imgcls_jax.report import console
from imgcls_jax.train.build import build
from imgcls_jax.train.loop import evaluate
from imgcls_jax.train.outcome import summarised
from imgcls_jax.train.repeat import pooled
from imgcls_jax.train.summary import spread
from imgcls_jax.workdir import Workdir


def theirs(logits, labels, k: int) -> float:
    """scikit-learn's count, whose ties go to the class of the higher number: here turned around."""
    classes = logits.shape[1]
    turned = logits[:, ::-1], classes - 1 - labels
    return top_k_accuracy_score(
        turned[1], turned[0], k=k, normalize=False, labels=np.arange(classes)
    )


@settings(deadline=None, max_examples=50)
@given(
    count=st.integers(1, 40),
    classes=st.integers(3, 12),
    levels=st.integers(1, 1000),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_it_counts_as_scikit_learn_with_any_ties(count, classes, levels, seed, data):
    rng = np.random.default_rng(seed)
    logits = rng.integers(0, levels, (count, classes)).astype(np.float32)
    labels = rng.integers(0, classes, count)
    k = data.draw(st.integers(1, classes - 1))
    assert metrics.top_k_correct(logits, labels, k) == theirs(logits, labels, k)
    assert metrics.top_k_correct(logits, labels, 1) == (logits.argmax(axis=1) == labels).sum()
    assert metrics.top_k_correct(logits, np.eye(classes)[labels], classes) == count


def test_a_nan_is_never_counted_and_of_equal_logits_the_lower_number_comes_first():
    nan, inf = np.nan, np.inf
    logits = np.array([[1, 2, 2], [2, 2, 2], [nan, 5, 4], [0, inf, -inf]])
    assert metrics.top_k_correct(logits, np.array([2, 0, 1, 1]), 1) == 2
    assert metrics.top_k_correct(logits, np.array([2, 2, 1, 2]), 2) == 1
    with pytest.raises(ValueError, match="3 labels for logits"):
        metrics.top_k_correct(logits, np.zeros(3, int), 1)


@pytest.mark.parametrize(
    ("given", "classes", "found"),
    [(None, 10, None), (None, 11, 5), (0, 100, None), (3, 4, 3), (2, 1000, 2)],
)
def test_it_is_on_for_many_classes(given, classes, found):
    assert Config.of(top_k=given).evaluation.top_k_of(classes) == found


def test_what_is_always_right_is_refused_before_training(digits):
    with pytest.raises(UserError, match="`top_k=10` is right whatever is predicted of 10 classes"):
        build(Config.of(dataset="digits", top_k=10), digits)
    with pytest.raises(UserError, match="`top_k=1` cannot be used; it must be 0 or at least 2"):
        Config.of(top_k=1)


def test_every_test_example_counts_once(small_trainer, digits, tmp_path, capsys):
    """Digits' 360 test examples fill one batch of 250, and a second one up with repeats."""
    found = evaluate(small_trainer, small_trainer.start(0).state, digits.test)
    of_run = {"history": [], "workdir": Workdir(tmp_path)}
    config = small_trainer.config.replace(top_k=3)
    summary, arrays = summarised(config, small_trainer, digits, found, **of_run)
    expected = top_k_accuracy_score(digits.test.labels, found.logits, k=3)
    assert len(arrays["labels"]) == len(found.logits) == 360
    assert (summary["top_k"], summary["test_top3_accuracy"]) == (3, pytest.approx(expected))
    assert summary["test_top3_accuracy"] > summary["test_accuracy"]
    low, high = summary["test_top3_accuracy_interval"]
    assert (low, high) == metrics.wilson_interval(round(expected * 360), 360)
    console.closing(summary)
    line = next(line for line in capsys.readouterr().out.splitlines() if "top-3 accuracy" in line)
    assert line.endswith(f"{expected:.4f}   95 % interval [{low:.4f}, {high:.4f}]")
    assert "top_k" not in summarised(SMALL, small_trainer, digits, found, **of_run)[0]


def test_seeds_and_folds_have_it_too(capsys):
    def run(matrix, share):
        return {"confusion_matrix": matrix, "top_k": 2, "test_top2_accuracy": share}

    runs = [run([[6, 2], [1, 1]], 0.9), run([[2, 0], [1, 2]], 0.8)]
    assert spread(runs, None)["test_top2_accuracy"]["mean"] == pytest.approx(0.85)
    found = pooled(runs)
    assert found["test_top2_accuracy"] == pytest.approx(13 / 15)
    assert found["test_top2_accuracy_interval"] == list(metrics.wilson_interval(13, 15))
    console.pairs(console.accuracies(found, of=" over all"))
    assert "top-2 accuracy over all" in capsys.readouterr().out

"""Search spaces: how they are spelled, and what is refused in one sentence."""

import pytest

from imgcls_jax.config import Config
from imgcls_jax.errors import UserError
from imgcls_jax.train.tuning.search_space import Choices, Range, check, parse


def test_a_space_is_read_as_it_is_spelled():
    space = parse(
        "lr=1e-4..1e-2:log,batch_size=64|128,hidden=none|256+128,augment=none|flip+shift:2,"
        "dropout=0..0.5,nesterov=true|false,accumulate=1..4"
    )
    assert space == {
        "lr": Range(1e-4, 1e-2, True),
        "batch_size": Choices((64, 128)),
        "hidden": Choices(((), (256, 128))),
        "augment": Choices(((), ("flip", "shift:2"))),
        "dropout": Range(0.0, 0.5),
        "nesterov": Choices((True, False)),
        "accumulate": Range(1, 4),
    }
    assert parse(",".join(f"{name}={found}" for name, found in space.items())) == space


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("learning_rate=1|2", "names no setting"),
        ("lr", "gives no values"),
        ("lr=", "gives no values"),
        ("lr=1|x", "cannot be read; its values are numbers"),
        ("lr=1e-2..1e-4", "LOW..HIGH"),
        ("lr=0..1:log", "LOW..HIGH"),
        ("lr=0.1..1:lin", "LOW..HIGH"),
        ("lr=nan..1", "LOW..HIGH"),
        ("batch_size=64..128.5", "whole numbers"),
        ("batch_size=64|64", "a value twice"),
        ("lr=0.0123456|0.01234561", "a value twice"),
        ("lr=1|2,lr=3|4", "lr twice"),
        ("nesterov=yes|no", "true or false"),
        ("hidden=a|1", "256+128|512"),
        ("dropout=none|0.5", "cannot be read"),
        ("epochs=1|2", "cannot search epochs, the budget"),
        ("seed=1|2", "cannot search seed"),
        ("dataset=digits|cifar10", "cannot search dataset, the data"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(text, said):
    with pytest.raises(UserError) as caught:
        parse(text)
    assert said in str(caught.value)
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("optimizer=adam|adagrad", "unknown value optimizer=adagrad"),
        ("lr=-1..1", "must be a finite number above 0"),
        ("augment=none|spin", "unknown `augment=spin`"),
        ("stochastic_depth=0.1|0.2", "`stochastic_depth` is not for `model=mlp`"),
        ("", "needs a setting to search"),
    ],
)
def test_values_that_no_trial_could_use_are_refused(text, said):
    with pytest.raises(UserError, match=said.replace("`", ".")):
        check(parse(text), Config.of(hidden=(8,)))


def test_a_value_that_some_trials_can_use_is_not_refused():
    check(parse("momentum=0|0.9"), Config.of(hidden=(8,)))  # none with adam

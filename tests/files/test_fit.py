"""Values of JSON against types: what fits, and the first that does not, named by its place."""

from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest

from imgcls_jax.files.fit import ABOVE_0, FRACTION, SOME, at_least, misfit


class Member(TypedDict):
    path: str
    weight: Annotated[float, at_least(0)]
    tags: NotRequired[list[str]]


WHOLE = {"path": "a", "weight": 1}


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (1, int),
        (1, float),
        (0.5, float),
        (True, bool),
        (None, int | None),
        (2, int | None),
        ("x", Literal["x", "y"]),
        ([1, 2, 3], tuple[int, int, int]),
        ([1, 2, 3, 4], tuple[int, ...]),
        ([], list[int]),
        ({"a": [1]}, dict[str, list[int]]),
        ({"a": {"b": object()}}, dict[str, Any]),
        (WHOLE, Member),
        (WHOLE | {"tags": ["x"], "younger": 1}, Member),
        ([0.5, [0.1, 0.2]], list[float | tuple[float, float]]),
    ],
)
def test_what_fits(value, wanted):
    assert misfit(value, wanted) is None


@pytest.mark.parametrize(
    ("value", "wanted", "says"),
    [
        (True, int, "it is True and not a whole number"),
        (1.0, int, "it is 1.0 and not a whole number"),
        (2**63, int, "it is 9223372036854775808 and not a whole number"),
        (10**400, float, "and not a number"),
        (float("nan"), float, "it is nan and not a number"),
        (float("inf"), float, "it is inf and not a number"),
        ("0.1", float, "it is '0.1' and not a number"),
        (0, bool, "it is 0 and not true or false"),
        (None, str, "it is null and not text"),
        ([], dict, "it is a list of 0 and not an object"),
        ("x", int | None, "it is 'x' and not a whole number"),
        ("x", int | bool, "it is 'x' and not a whole number or true or false"),
        ("z", Literal["x", "y"], "it is 'z' and not one of x, y"),
        (True, Literal[1], "it is True and not one of 1"),
        ([1, 2], tuple[int, int, int], "it is a list of 2 and not a list of 3"),
        ([1, "2"], tuple[int, ...], "`[1]` is '2' and not a whole number"),
        ([1, 2**70], list[int], "is 1180591620717411303424 and not a whole number"),
        ({"a": [1, "b"]}, dict[str, list[int]], "`a[1]` is 'b' and not a whole number"),
        ({"path": "a"}, Member, "`weight` is missing"),
        (WHOLE | {"weight": -1}, Member, "`weight` is -1 and not at least 0"),
        (WHOLE | {"tags": ["x", 1]}, Member, "`tags[1]` is 1 and not text"),
        ([WHOLE, 1], list[Member], "`[1]` is 1 and not an object"),
        (1.5, Annotated[float, FRACTION], "it is 1.5 and not from 0 to 1"),
        (0, Annotated[float, ABOVE_0], "it is 0 and not above 0"),
        ([], Annotated[list[str], SOME], "it is a list of 0 and not one with anything in it"),
        (None, Annotated[float, ABOVE_0], "it is null and not a number"),
    ],
)
def test_the_first_misfit_is_named_by_its_place(value, wanted, says):
    assert says in misfit(value, wanted)


def test_a_long_value_is_cut_and_stays_on_one_line():
    said = misfit("a\n" * 100, int)
    assert "\n" not in said
    assert len(said) < 80

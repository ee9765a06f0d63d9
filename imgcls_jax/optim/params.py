"""Parameters by their path in the tree, such as "Dense_0/kernel", and patterns that choose them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from imgcls_jax.errors import UserError


def param_paths(params: Any) -> list[str]:
    """Returns each parameter's path, like "Dense_0/kernel", in the order of `jax.tree.leaves`."""
    return [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]


def path_name(path: tuple[Any, ...]) -> str:
    """Returns a key path of `jax.tree_util` as a string."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def matcher(pattern: str) -> Callable[[str], bool]:
    """Makes a pattern a function of paths.

    Args:
      pattern: "all"; "kernels", the parameters named kernel, which leaves out biases and the
        scales of normalisation; or a regular expression searched for in each path.

    Raises:
      UserError: if the pattern is no regular expression.
    """
    expression = {"all": "", "kernels": "(^|/)kernel$"}.get(pattern, pattern)
    try:
        compiled = re.compile(expression)
    except re.error as error:
        raise UserError(
            f"the parameter pattern {pattern!r} is not a regular expression ({error}); "
            "give 'all', 'kernels' or a regular expression."
        ) from None
    return lambda path: compiled.search(path) is not None


def path_mask(params: Any, pattern: str) -> Any:
    """Returns a tree like `params` of bools: True if the path matches, see `matcher`.

    Raises:
      UserError: if the pattern is no regular expression or matches no parameter.
    """
    matches = matcher(pattern)
    mask = jax.tree_util.tree_map_with_path(lambda path, _: matches(path_name(path)), params)
    if not any(jax.tree.leaves(mask)):
        raise UserError(
            f"the parameter pattern {pattern!r} matches none of: {', '.join(param_paths(params))}."
        )
    return mask


def first_match(params: Any, patterns: Mapping[str, Any], default: Any) -> Any:
    """Returns a tree like `params` of the first matching pattern's values, or `default`.

    Raises:
      UserError: if a pattern is no regular expression, matches no parameter, or none that an
        earlier pattern has not matched.
    """
    matchers = {pattern: matcher(pattern) for pattern in patterns}
    paths, used = param_paths(params), set()

    def choose(path):
        for pattern, matches in matchers.items():
            if matches(path):
                used.add(pattern)
                return patterns[pattern]
        return default

    chosen = [choose(path) for path in paths]
    for pattern in patterns:
        if pattern not in used:
            path_mask(params, pattern)
            raise UserError(
                f"the parameter pattern {pattern!r} matches only parameters that an earlier "
                "pattern matches; put it before that one or leave it out."
            )
    return jax.tree.unflatten(jax.tree.structure(params), chosen)


def partition(
    transforms: Mapping[str, optax.GradientTransformation],
) -> optax.GradientTransformation:
    """Gives each group of parameters its optimiser: PyTorch's parameter groups by pattern.

        partition({"Dense_0/": head_tx, "kernels": muon_tx, "all": sgd_tx})

    Args:
      transforms: from patterns, see `matcher`, to the optimisers of the parameters they match; the
        first match counts.

    Raises:
      UserError: from `init`, as `first_match`, and if a parameter matches no pattern.
    """

    def labels(params):
        chosen = first_match(params, {pattern: pattern for pattern in transforms}, "")
        if "" in jax.tree.leaves(chosen):
            given = zip(param_paths(params), jax.tree.leaves(chosen), strict=True)
            left = ", ".join(path for path, pattern in given if not pattern)
            raise UserError(f"no optimiser is given for {left}; add the pattern 'all' as the last.")
        return chosen

    return optax.partition(dict(transforms), labels)

"""Muon: momentum, orthogonalised, for kernels seen as matrices (Jordan et al. 2024).

The momentum matrix of every kernel is replaced by its nearest semi-orthogonal matrix, so that all
of its directions get steps of one length ("Muon: An optimizer for hidden layers in neural
networks", kellerjordan.github.io/posts/muon). `imgcls_jax.optim.create("muon")` completes it with
AdamW for all other parameters; these are the parts, to be put together otherwise:

    optax.chain(
        muon.scale_by_muon(momentum=0.6, steps=3, adjust="original"),
        optax.scale_by_learning_rate(schedule),
        muon.normalize_kernels(),
    )

`optax.contrib.muon` corrects its Nesterov momentum for a bias that Jordan and PyTorch leave (the
length is normalised away, but not the share of the newest gradient), does not export its
orthogonalisation, and runs it in the gradients' type only.
"""

import math
import re
from typing import Any

import jax
import jax.numpy as jnp
import optax

from imgcls_jax.errors import UserError
from imgcls_jax.optim.params import matcher, param_paths, path_name

# Of the odd quintic a x + b x^3 + c x^5: Jordan's choice, for a slope at 0 as steep as can be while
# the iterates of (0, 1] still come near 1. They do not converge.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ADJUSTMENTS = ("original", "match_rms_adamw")


def orthogonalize(matrix: jax.Array, *, steps: int = 5, dtype: Any = jnp.float32) -> jax.Array:
    """Returns about U V^T for a matrix (m, n) = U S V^T, by Newton-Schulz iterations in `dtype`.

    After five steps no singular value is above 1.21, and those that began above 0.2 % of the
    Frobenius norm are above 0.68. A matrix of zeros stays one.
    """
    a, b, c = COEFFICIENTS
    x = (matrix / (jnp.linalg.norm(matrix) + 1e-7)).astype(dtype)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x  # the products below are then of the smaller side
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return (x.T if tall else x).astype(matrix.dtype)


def scale_by_muon(
    *,
    momentum: float = 0.95,
    steps: int = 5,
    adjust: str = "match_rms_adamw",
    dtype: Any = jnp.float32,
) -> optax.GradientTransformation:
    """Gives Muon's direction for kernels of at least two dimensions, the last being the outputs.

    Nesterov momentum as PyTorch's SGD has it, then `orthogonalize`, then a factor by shape. A
    convolution's kernel (H, W, I, O) is the matrix (H W I, O).

    Args:
      momentum: decay of the sum of gradients.
      steps: Newton-Schulz iterations; airbench94_muon takes 3.
      adjust: the factor, as `torch.optim.Muon` names them. original: sqrt(max(1, O / fan_in)), so
        that outputs change alike whatever the shape. match_rms_adamw: 0.2 sqrt(max(O, fan_in)), so
        that elements change as much as AdamW's do and its learning rates can be used (Liu et al.
        2025, "Muon is Scalable for LLM Training").
      dtype: of the iteration; bfloat16 is exact enough and fast where the hardware has it.

    Raises:
      UserError: for an unknown `adjust`.
    """
    if adjust not in ADJUSTMENTS:
        raise UserError(f"unknown adjustment {adjust!r}; choose one of: {', '.join(ADJUSTMENTS)}.")

    def direction(kernel):
        matrix = kernel.reshape(-1, kernel.shape[-1])
        fan_in, fan_out = matrix.shape
        if adjust == "original":
            factor = math.sqrt(max(1.0, fan_out / fan_in))
        else:
            factor = 0.2 * math.sqrt(max(fan_in, fan_out))
        return (factor * orthogonalize(matrix, steps=steps, dtype=dtype)).reshape(kernel.shape)

    return optax.chain(
        optax.trace(momentum, nesterov=True),
        optax.stateless(lambda updates, params: jax.tree.map(direction, updates)),
    )


def normalize_kernels() -> optax.GradientTransformation:
    """Brings every kernel to norm sqrt(O), O its outputs, before the update is added.

    As airbench94_muon does: each of the O filters has norm 1 in the mean. For kernels followed by
    a normalisation, which makes their size immaterial. The last in a chain.
    """

    def add(update, kernel):
        norm = jnp.maximum(jnp.linalg.norm(kernel.ravel()), 1e-12)
        return update + kernel * (math.sqrt(kernel.shape[-1]) / norm - 1)

    return optax.stateless(lambda updates, params: jax.tree.map(add, updates, params))


def labels(params: Any, matrices: str) -> Any:
    """Returns a tree like `params` that names each parameter's rule, "muon" or "companion".

    Args:
      matrices: "hidden": every kernel of at least two dimensions but the output layer's, which
        maps to classes and not to features (Jordan et al.). The output layer is the dense kernel
        that is least deep in the tree and, of these, has the highest number. Or a pattern, see
        `param_paths.matcher`; parameters of less than two dimensions are always the companion's.

    Raises:
      UserError: if nothing is left for Muon.
    """
    pattern = "kernels" if matrices == "hidden" else matrices
    matches = matcher(pattern)
    by_path = dict(zip(param_paths(params), jax.tree.leaves(params), strict=True))
    chosen = {path for path, p in by_path.items() if jnp.ndim(p) >= 2 and matches(path)}
    if matrices == "hidden":
        dense = [path for path in chosen if jnp.ndim(by_path[path]) == 2]
        chosen -= {max(dense, key=_closeness_to_output)} if dense else set()
    if not chosen:
        raise UserError(
            f"muon finds no matrix to train by the pattern {matrices!r} among: "
            f"{', '.join(by_path)}; choose another pattern or another optimiser."
        )
    return jax.tree_util.tree_map_with_path(
        lambda path, _: "muon" if path_name(path) in chosen else "companion", params
    )


def _closeness_to_output(path: str) -> tuple[int, list[tuple[str, int]]]:
    """Orders paths from deep to shallow, then "Dense_2" before "Dense_10"."""
    parts = re.findall(r"(\D*)(\d*)", path)
    return -path.count("/"), [(text, int(number or -1)) for text, number in parts]

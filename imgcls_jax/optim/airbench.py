"""The optimiser of the CIFAR-10 speed record airbench94_muon, for `models.speednet`.

K. Jordan, https://github.com/KellerJordan/cifar10-airbench (2024): Muon turns the convolutions'
kernels, whose norms are fixed; SGD with Nesterov momentum trains the head and the biases.
"""

from collections.abc import Callable

import optax

from imgcls_jax.optim import muon
from imgcls_jax.optim.frameworks import DEFAULTS
from imgcls_jax.optim.params import partition

# Muon's, which the others are proportional to.
RATE = DEFAULTS["torch"]["airbench"]["learning_rate"]
# airbench's rates are for the loss summed over a batch, ours is the mean: rates per example here.
# Its head divides by 256 where ours divides by 9, hence 0.67 x 81 / 256**2.
_HEAD_RATE = 8.3e-4
_BIAS_RATE = 0.053
_MOMENTUM = 0.85


def airbench(
    *,
    learning_rate: float | Callable[[int], float],
    momentum: float,
    weight_decay: float,
    batch_size: int,
) -> optax.GradientTransformation:
    """Builds Muon for kernels and SGD for head and biases, for the mean loss over a batch.

    Args:
      learning_rate: Muon's; with the kernels' norms fixed it is an angle. The others' are in
        airbench's proportion to it.
      momentum: Muon's.
      weight_decay: of head and biases per example, as a fraction of the weights at full rate.
      batch_size: examples per step.

    Raises:
      UserError: from `init`, for a network that does not have a head, kernels and biases.
    """

    def sgd(rate):
        return optax.chain(
            optax.add_decayed_weights(weight_decay / rate),
            optax.trace(_MOMENTUM, nesterov=True),
            optax.scale_by_learning_rate(learning_rate),
            optax.scale(rate * batch_size / RATE),
        )

    kernels = optax.chain(
        muon.scale_by_muon(momentum=momentum, steps=3, adjust="original"),
        optax.scale_by_learning_rate(learning_rate),
        muon.normalize_kernels(),
    )
    return partition({"^head/": sgd(_HEAD_RATE), "bias$": sgd(_BIAS_RATE), "kernels": kernels})

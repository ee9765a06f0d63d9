"""The orders in which scikit-learn's `SGDClassifier` visits the examples, bit for bit."""

import numpy as np

_INT32_MAX = 2**31 - 1


def shuffle_seeds(seed: int, num_classes: int) -> list[int]:
    """Returns the seeds with which scikit-learn shuffles each class' binary problem."""
    seeds = []
    for class_seed in np.random.RandomState(seed).randint(_INT32_MAX, size=num_classes):
        class_state = np.random.RandomState(class_seed)
        class_state.randint(1, _INT32_MAX)  # drawn for random access, which SGD does not use
        seeds.append(int(class_state.randint(_INT32_MAX)))
    return seeds


def shuffle_permutation(seed: int, num_examples: int) -> np.ndarray:
    """Returns scikit-learn's shuffle of range(num_examples), int32 (num_examples,).

    A Fisher-Yates shuffle driven by Marsaglia's 32-bit xorshift 13-17-5 (Xorshift RNGs, 2003).
    """
    state = seed or 1
    indices = list(range(num_examples))
    for i in range(num_examples - 1):
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        j = i + (state & _INT32_MAX) % (num_examples - i)
        indices[i], indices[j] = indices[j], indices[i]
    return np.array(indices, np.int32)


def permutations(
    num_examples: int, *, num_classes: int, shuffle: bool = True, seed: int = 42
) -> np.ndarray:
    """Returns the example that each class visits at each update of a pass, int32 (N, C).

    It is the first pass, and what every further pass applies to the order of the pass before.
    """
    if not shuffle:
        order = np.arange(num_examples, dtype=np.int32)
        return np.broadcast_to(order[:, None], (num_examples, num_classes))
    seeds = shuffle_seeds(seed, num_classes)
    return np.stack([shuffle_permutation(one, num_examples) for one in seeds], axis=1)

"""The network of runs 10 and 11 in Keras, which is no dependency of this project."""

from typing import Any


def documented_cnn(*, softmax: bool, dropout: float) -> Any:
    """Builds the network of runs 10 and 11, a `keras.Model` of (N, 32, 32, 3) -> (N, 10).

    Args:
      softmax: whether the last layer gives probabilities, as in run 11, or logits.
      dropout: its rate before the last layer; 0 for none, as in run 10.

    Raises:
      ImportError: if Keras or its backend is not installed.
    """
    import keras
    from keras import layers

    stack = [
        keras.Input((32, 32, 3)),
        layers.Conv2D(32, (3, 3), activation="relu"),
        layers.MaxPooling2D((2, 2)),
        layers.Conv2D(64, (3, 3), activation="relu"),
        layers.MaxPooling2D((2, 2)),
        layers.Conv2D(64, (3, 3), activation="relu"),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        *([layers.Dropout(dropout)] if dropout else []),
        layers.Dense(10, activation="softmax" if softmax else None),
    ]
    return keras.Sequential(stack)

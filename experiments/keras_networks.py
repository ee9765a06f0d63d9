"""The documented network in Keras, as its document prints it; needs Keras."""

import keras
from keras import layers


def documented_cnn(*, softmax: bool, dropout: float) -> keras.Model:
    """The network of runs 10 and 11; the latter has dropout and a softmax of its own."""
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

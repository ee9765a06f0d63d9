"""Data sets by name: the published ones, and "folder", one's own photos."""

PUBLISHED = ("fashion_mnist", "digits", "cifar10")
NAMES = (*PUBLISHED, "folder")

"""Prepared TFDS folders: where they lie, what they say of themselves, their examples by index."""

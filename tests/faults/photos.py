"""Faults in photos: folders, decoding, the cache, streams and the audit."""

from .fault import plant

_FOLDERS = plant(
    "imgcls_jax/data/photos/folders.py",
    ("data/photos/test_folders.py", "data/photos/test_photos_load.py"),
    labels_shift_by_names=(
        "labels shift where one class' name is the beginning of another's",
        "splits[split] = Files(tuple(paths), np.array(labels, np.int32))",
        "splits[split] = Files(tuple(sorted(paths)), np.array(labels, np.int32))",
    ),
    labels_are_the_splits_own=(
        "a split that lacks a class numbers the others anew",
        "for label, name in enumerate(class_names):\n            paths",
        "for label, name in enumerate(sorted(classes)):\n            paths",
    ),
)
_CACHE = plant(
    "imgcls_jax/data/photos/pictures.py",
    ("data/photos/test_cache.py",),
    the_cache_ignores_times=(
        "the cache is blind to an edit of the same size",
        "state = (status.st_size, status.st_mtime_ns)",
        "state = (status.st_size,)",
    ),
    the_cache_ignores_sizes=(
        "the cache is blind to an edit that keeps the time",
        "state = (status.st_size, status.st_mtime_ns)",
        "state = (status.st_mtime_ns,)",
    ),
)
_ROT = plant(
    "imgcls_jax/data/photos/cache.py",
    ("data/photos/test_cache.py",),
    rot_is_not_looked_for=(
        "decoded photos that rotted on the disk are trained on",
        "if zlib.crc32(pixels.read(images * row)) != checksum:",
        "if not pixels.read(images * row):",
    ),
    all_is_some=(
        "verify=True compares no more than any start",
        "if not verify and some < len(blocks):",
        "if some < len(blocks):",
    ),
)
_DECODE = plant(
    "imgcls_jax/data/photos/decode.py",
    ("data/photos/test_decode.py", "data/photos/test_resize.py"),
    photos_turn_the_wrong_way=(
        "photos taken upright lie on their heads",
        "6: Image.Transpose.ROTATE_270,",
        "6: Image.Transpose.ROTATE_90,",
    ),
    transparent_is_black=(
        "transparent pixels are black",
        'Image.new("RGBA", image.size, "white")',
        'Image.new("RGBA", image.size, "black")',
    ),
)
_STREAMING = plant(
    "imgcls_jax/data/photos/streaming.py",
    ("data/photos/test_streaming.py",),
    crops_repeat=(
        "a picture has the same crop in every epoch",
        "np.random.default_rng((self.seed, epoch, number + 1))",
        "np.random.default_rng((self.seed, 0, number + 1))",
    ),
)
_SAMPLING = plant(
    "imgcls_jax/data/sampling.py",
    ("data/photos/test_streaming.py", "data/test_sampling.py"),
    seeds_are_epochs=(
        "seed 1 begins with the second epoch of seed 0",
        "np.random.default_rng((seed, epoch)).permutation(count)",
        "np.random.default_rng(seed + epoch).permutation(count)",
    ),
)
_AUDIT = plant(
    "imgcls_jax/data/photos/audit.py",
    ("data/photos/test_audit.py", "data/photos/test_photos_load.py"),
    copies_go_from_training=(
        "copies are dropped from the training split",
        'if order > earlier["train"] and (two_classes or order > first):',
        "if two_classes or order > first or len(group) > 2:",
    ),
)
_LOAD = plant(
    "imgcls_jax/data/photos/load.py",
    ("data/photos/test_photos_load.py",),
    folds_overlap=(
        "every fold is the first",
        "train, test = folds[options.fold]",
        "train, test = folds[0]",
    ),
    photos_are_split_by_42=(
        "split_seed does nothing",
        "test, seed = options.test_fraction, options.split_seed",
        "test, seed = options.test_fraction, 42",
    ),
)
FAULTS = _FOLDERS + _CACHE + _ROT + _DECODE + _STREAMING + _SAMPLING + _AUDIT + _LOAD

"""Faults in data sets: splits, batches, raw files, prepared folders."""

from .fault import plant

_DATASET = plant(
    "imgcls_jax/data/dataset.py",
    ("data/test_data.py", "data/photos/test_folders.py"),
    held_out_is_the_rest=(
        "the held-out part is trained on",
        "held_out, train = np.split(",
        "train, held_out = np.split(",
    ),
    folds_are_not_shuffled=(
        "folds of a seed are those without one",
        "shuffle=seed is not None, random_state=seed",
        "shuffle=False",
    ),
)
_RESIDENT = plant(
    "imgcls_jax/data/resident.py",
    ("test_steps.py",),
    orders_ignore_the_epoch=(
        "every epoch has one order",
        "jax.random.bits(jax.random.fold_in(key, epoch), (size,))",
        "jax.random.bits(key, (size,))",
    ),
    indices_count_the_batch=(
        "an example's number is its place in the batch",
        '"index": indices,',
        '"index": jnp.arange(len(indices)),',
    ),
)
_BATCHING = plant(
    "imgcls_jax/data/batching.py",
    ("data/test_data.py", "train/test_feeds.py"),
    padding_counts=(
        "examples that fill up a batch are not masked",
        '"mask": np.arange(size) < given',
        '"mask": np.arange(size) <= given',
    ),
)
_RAW = plant(
    "imgcls_jax/data/raw/idx.py",
    ("data/raw/test_idx.py",),
    idx_images_begin_early=(
        "images begin within the header",
        "return values.reshape(-1, *shape, 1).copy()",
        "return np.roll(values, 8).reshape(-1, *shape, 1)",
    ),
)
_READING = plant(
    "imgcls_jax/files/reading.py",
    ("test_reading.py",),
    pipes_are_opened=(
        "a named pipe in the place of a file is waited for",
        "    require_regular(path)\n    return open(",
        "    return open(",
    ),
    arrays_may_announce_anything=(
        "a small file of arrays fills the memory",
        "announced != member.file_size - file.tell()",
        "announced < 0",
    ),
)
_CATALOG = (
    plant(
        "imgcls_jax/data/catalog/cifar10.py",
        ("data/catalog/test_catalog_cifar10.py",),
        cifar_is_blue_first=(
            "the planes are blue, green, red",
            "= planes[:, channel]",
            "= planes[:, 2 - channel]",
        ),
    )
    + plant(
        "imgcls_jax/data/catalog/builder.py",
        ("data/catalog/test_prepared.py",),
        stock_order_is_applied=(
            "the order of a stock folder is applied again, not undone",
            "images[order], labels[order] = images.copy(), labels.copy()",
            "images, labels = images[order], labels[order]",
        ),
    )
    + plant(
        "imgcls_jax/data/catalog/decoded.py",
        ("data/catalog/test_prepared.py",),
        stale_copies_are_read=(
            "the decoded copy of another folder is taken",
            'if meta["of"] != of:',
            'if not meta["of"]:',
        ),
    )
    + plant(
        "imgcls_jax/data/catalog/prepared.py",
        ("data/catalog/test_prepared.py",),
        killed_preparations_stay=(
            "what a preparation killed after its renaming left stays for good",
            'if not any(folder.parent.glob(f"{_SCRATCH}*")):',
            'if any(folder.parent.glob(f"{_SCRATCH}*")):',
        ),
        others_preparations_are_swept=(
            "a preparation at work beside a prepared folder loses its files",
            "with contextlib.suppress(OSError), held.acquire(timeout=0):",
            "with contextlib.suppress(OSError), contextlib.nullcontext():",
        ),
    )
    + plant(
        "imgcls_jax/data/catalog/load.py",
        ("data/catalog/test_catalog_load.py", "data/catalog/test_catalog_fetch.py"),
        other_data_is_prepared=(
            "other data that a person names passes for the published ever after",
            "if (raw_dir is None or not differing) and not prepared.exists(folder):",
            "if not prepared.exists(folder):",
        ),
    )
)
FAULTS = _DATASET + _RESIDENT + _BATCHING + _RAW + _READING + _CATALOG

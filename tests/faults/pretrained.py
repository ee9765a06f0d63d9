"""Faults in published weights: names, shapes, conventions, digests."""

from .fault import plant

_GIVES = ("pretrained/test_pretrained.py", "pretrained/test_pretrained_names.py")
_MATCHING = plant(
    "imgcls_jax/pretrained/matching.py",
    (*_GIVES, "pretrained/test_pretrained_bad_input.py", "pretrained/test_new_family.py"),
    kernels_lie_on_their_side=(
        "height and width of PyTorch's kernels are swapped",
        "tensor.transpose(*range(2, tensor.ndim), 1, 0)",
        "tensor.transpose(*reversed(range(tensor.ndim)))",
    ),
    missing_tensors_pass=(
        "what a file lacks stays random",
        '_listing(report.missing, "missing"),',
        "",
    ),
)
_FAMILIES = plant(
    "imgcls_jax/pretrained/families.py",
    _GIVES,
    timm_is_torchvision=(
        "timm's files are read by torchvision's epsilon",
        'if of != "torchvision":',
        'if of == "":',
    ),
) + plant(
    "imgcls_jax/pretrained/pixels.py",
    (*_GIVES, "pretrained/test_pixels.py"),
    ports_have_pytorchs_padding=(
        "ported weights get PyTorch's padding",
        '"tensorflow" if self.architecture.startswith("tf_") else "torch"',
        '"torch"',
    ),
    every_mean_is_imagenets=(
        "weights that want a mean of 0.5 are fed ImageNet's",
        "        found[name] = value",
        '        found[name] = "imagenet" if name == "normalise" else value',
    ),
)
_FILES = (
    plant(
        "imgcls_jax/pretrained/files.py",
        (*_GIVES, "pretrained/test_pretrained_bad_input.py"),
        parallel_names_are_unknown=(
            "weights saved from DataParallel match nothing",
            'key.removeprefix("module.")',
            "key",
        ),
    )
    + plant(
        "imgcls_jax/pretrained/torch_files.py",
        ("pretrained/test_torch_files.py",),
        strides_are_taken_for_rows=(
            "transposed tensors of PyTorch's files are read row by row",
            "strides = [stride * numbers.itemsize for stride in tensor.strides]",
            "strides = np.empty(tensor.shape, numbers.dtype).strides",
        ),
    )
    + plant(
        "imgcls_jax/pretrained/keras_files.py",
        ("pretrained/test_pretrained_bad_input.py",),
        hdf5_links_are_followed=(
            "a link in a file of weights leads to another file",
            "if (kind := links.get_info(key).type) != h5l.TYPE_HARD:",
            "if (kind := links.get_info(key).type) < h5l.TYPE_HARD:",
        ),
        hdf5_storage_may_lie_elsewhere=(
            "the bytes of any file become weights",
            "if made.get_external_count():",
            "if made.get_external_count() < 0:",
        ),
    )
    + plant(
        "imgcls_jax/pretrained/hub.py",
        ("pretrained/test_hub.py",),
        downloads_are_not_checked=(
            "a file with another digest is loaded",
            "if expected != digest:",
            "if not digest:",
        ),
    )
)
FAULTS = _MATCHING + _FAMILIES + _FILES

"""timm's published trainings of our networks and the preprocessing each of them was made for.

Read off the configurations in timm 1.0.31; a test compares them with those of the timm that is
installed. `PUBLISHED["resnet34"]["tv_in1k"]` holds the values of a `family.Pixels`; timm calls
files by network and training, as in "resnet34.ra4_e3600_r224_in1k".
"""

# (normalise, interpolation, crop fraction, pixels per side): network and its trainings.
_TRAININGS = {
    ("imagenet", "bilinear", 0.875, 224): (
        "resnet18 tv_in1k fb_ssl_yfcc100m_ft_in1k fb_swsl_ig1b_ft_in1k",
        "resnet34 tv_in1k",
        "resnet50 tv_in1k fb_ssl_yfcc100m_ft_in1k fb_swsl_ig1b_ft_in1k",
        "resnet101 tv_in1k",
    ),
    ("imagenet", "bilinear", 0.875, 176): ("resnet50 tv2_in1k", "resnet101 tv2_in1k"),
    ("imagenet", "bicubic", 0.875, 224): (
        "resnet18 gluon_in1k",
        "resnet34 gluon_in1k bt_in1k",
        "resnet50 gluon_in1k bt_in1k am_in1k ra_in1k ram_in1k",
        "resnet101 gluon_in1k",
        "densenet121 ra_in1k tv_in1k",
        "densenet169 tv_in1k",
        "mobilenetv2_100 ra_in1k",
        "mobilenetv3_small_100 lamb_in1k",
        "mobilenetv3_large_100 ra_in1k",
        "efficientnet_b0 ra_in1k",
        "efficientnet_b1 ft_in1k",
        "efficientnet_lite0 ra_in1k",
    ),
    ("imagenet", "bicubic", 0.95, 224): (
        "resnet18 a1_in1k a2_in1k",
        "resnet34 a1_in1k a2_in1k",
        "resnet50 a1_in1k a2_in1k b1k_in1k b2k_in1k c1_in1k c2_in1k d_in1k",
        "resnet101 a1_in1k a1h_in1k a2_in1k",
    ),
    ("imagenet", "bicubic", 0.95, 160): (
        "resnet18 a3_in1k",
        "resnet34 a3_in1k",
        "resnet50 a3_in1k",
        "resnet101 a3_in1k",
    ),
    ("imagenet", "bicubic", 0.9, 176): ("resnet50 a1h_in1k",),
    ("imagenet", "bicubic", 1.0, 224): ("resnet50 bamboo",),
    ("imagenet", "bicubic", 0.875, 256): ("efficientnet_b2 ra_in1k",),
    ("imagenet", "bicubic", 0.875, 288): ("efficientnet_b3 ra2_in1k",),
    ("imagenet", "bicubic", 0.875, 320): ("efficientnet_b4 ra2_in1k",),
    ("imagenet", "bicubic", 0.95, 416): ("efficientnet_b5 sw_in12k",),
    ("imagenet", "bicubic", 1.0, 448, "stretch"): ("efficientnet_b5 sw_in12k_ft_in1k",),
    ("symmetric", "bicubic", 0.9, 224): (
        "resnet34 ra4_e3600_r224_in1k",
        "efficientnet_b0 ra4_e3600_r224_in1k",
    ),
    ("symmetric", "bicubic", 0.9, 240): ("efficientnet_b1 ra4_e3600_r240_in1k",),
    ("symmetric", "bicubic", 0.95, 224): ("mobilenetv3_large_100 ra4_e3600_r224_in1k",),
    ("symmetric", "bilinear", 0.875, 224): (
        "tf_mobilenetv3_small_100 in1k",
        "tf_mobilenetv3_large_100 in1k",
    ),
    ("unit", "bilinear", 0.875, 224): ("mobilenetv3_large_100 miil_in21k miil_in21k_ft_in1k",),
}
# Ports of TensorFlow's EfficientNets: network, crop fraction, pixels per side, its trainings but
# "ap_in1k" (adversarial propagation), whose normalisation is another.
_PORTS = (
    ("b0", 0.875, 224, "aa_in1k in1k ns_jft_in1k"),
    ("b1", 0.882, 240, "aa_in1k in1k ns_jft_in1k"),
    ("b2", 0.89, 260, "aa_in1k in1k ns_jft_in1k"),
    ("b3", 0.904, 300, "aa_in1k in1k ns_jft_in1k"),
    ("b4", 0.922, 380, "aa_in1k in1k ns_jft_in1k"),
    ("b5", 0.934, 456, "aa_in1k in1k ns_jft_in1k ra_in1k"),
    ("b6", 0.942, 528, "aa_in1k ns_jft_in1k"),
    ("b7", 0.949, 600, "aa_in1k ns_jft_in1k ra_in1k"),
)
# And of EfficientNet-Lite: interpolation, crop fraction, pixels per side.
LITE = (
    ("bicubic", 0.875, 224),
    ("bicubic", 0.882, 240),
    ("bicubic", 0.89, 260),
    ("bilinear", 0.904, 300),
    ("bilinear", 0.92, 380),
)


def _published() -> dict[str, dict[str, tuple]]:
    found: dict[str, dict[str, tuple]] = {}
    for pixels, networks in _TRAININGS.items():
        for network, *trainings in map(str.split, networks):
            found.setdefault(network, {}).update(dict.fromkeys(trainings, pixels))
    for size, crop, side, trainings in _PORTS:
        pixels = ("bicubic", crop, side)
        of = dict.fromkeys(trainings.split(), ("imagenet", *pixels))
        found[f"tf_efficientnet_{size}"] = of | {"ap_in1k": ("symmetric", *pixels)}
    for number, pixels in enumerate(LITE):
        found[f"tf_efficientnet_lite{number}"] = {"in1k": ("symmetric", *pixels)}
    return found


PUBLISHED = _published()

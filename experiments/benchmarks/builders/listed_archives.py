"""Small archives in the layout of the published ones: photos beside lists of their labels."""

import json
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from experiments.benchmarks.builders import drawn

_PER_CLASS = 2
_BOX = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
_SPECIES = {
    "2017": (("Nicrophorus tomentosus", "Insecta"), ("Betula lenta", "Plantae")),
    "2018": (("Hermodice carunculata", "Animalia"), ("Galeolaria hystrix", "Animalia")),
}
_STIMULI = {"airplane": "n02690373", "bicycle": "n02835271, n03792782", "clock": "n02708093"}
Maker = Callable[[np.random.Generator], dict]


def _cars(rng: np.random.Generator) -> dict:
    url = "http://ai.stanford.edu/~jkrause/car196"
    kinds = [(name, object) for name in (*_BOX, "class", "fname")]
    files, notes = {}, {}
    for split in ("train", "test"):
        names = [f"{n:05d}.jpg" for n in range(1, 5)]
        photos = {f"cars_{split}/{name}": drawn.photo(rng, 50, 70) for name in names}
        files[f"{url}/cars_{split}.tgz"] = drawn.tgz(photos)
        rows = [(3 + n, 4, 60, 40 + n, 1 + 65 * n, name) for n, name in enumerate(names)]
        notes[split] = drawn.mat(annotations=np.array([rows], kinds))
    kit = drawn.tgz({"devkit/cars_train_annos.mat": notes["train"]})
    return {
        "files": {
            **files,
            f"{url}/cars_test_annos_withlabels.mat": notes["test"],
            "https://ai.stanford.edu/~jkrause/cars/car_devkit.tgz": kit,
        }
    }


def _chest_photos(rng: np.random.Generator) -> dict:
    """Draws grey photos of patients, each with 14 findings: seen, not, unclear or absent."""
    top, findings = "CheXpert-v1.0-small", [f"Finding {n}" for n in range(14)]
    head = ",".join(["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *findings])
    members = {}
    for split in ("train", "valid"):
        rows = [head]
        for patient in range(1, 4):
            view = ("Frontal", "Lateral")[patient % 2]
            path = f"{top}/{split}/patient{patient:05d}/study1/view1_{view.lower()}.jpg"
            members[path] = drawn.jpeg(drawn.pixels(rng, 40, 32), "L")
            seen = rng.choice(["1.0", "0.0", "-1.0", ""], len(findings))
            rows.append(",".join([path, "Female", "68", view, "AP", *seen]))
        members[f"{top}/{split}.csv"] = drawn.lines(rows)
    return {"manual": members}


def _domains(rng: np.random.Generator) -> dict:
    url = "http://csr.bu.edu/ftp/visda/2019/multi-source"
    photos = {
        f"real/{label}/real_{number:03d}_{n:06d}.jpg": (number, drawn.photo(rng))
        for number, label in enumerate(("aircraft_carrier", "airplane", "alarm_clock"))
        for n in range(2 * _PER_CLASS)
    }
    rows = [f"{name} {number}" for name, (number, _) in photos.items()]
    packed = drawn.zipped({name: content for name, (_, content) in photos.items()})
    return {
        "files": {
            f"{url}/real.zip": packed,
            f"{url}/domainnet/txt/real_train.txt": drawn.lines(rows[::2]),
            f"{url}/domainnet/txt/real_test.txt": drawn.lines(rows[1::2]),
        }
    }


def _conflicts(rng: np.random.Generator) -> dict:
    """Draws images of one class's shape and another's texture, and the classes in ImageNet."""
    commit = "1b69c6a445c3348927139edb30a5134521fd4b03"
    top = f"texture-vs-shape-{commit}/stimuli/style-transfer-preprocessed-512"
    images = {
        f"{top}/{shape}/{shape}{n}-{texture}{n + 1}.png": drawn.png(drawn.pixels(rng, 48, 48))
        for n, (shape, texture) in enumerate((a, b) for a in _STIMULI for b in _STIMULI)
    }
    rows = [f"{label.ljust(10)} = [{synsets}, n99999999]" for label, synsets in _STIMULI.items()]
    text = (
        "https://raw.githubusercontent.com/rgeirhos/generalisation-humans-DNNs/"
        "5bbe08f6821e1eb2bdbe98acebf3586d36be00ab/16-class-ImageNet/"
        "MSCOCO_to_ImageNet_category_mapping.txt"
    )
    archive = f"https://github.com/rgeirhos/texture-vs-shape/archive/{commit}.zip"
    return {"files": {archive: drawn.zipped(images), text: drawn.lines(rows)}}


def _species(rng: np.random.Generator, year: str) -> tuple[dict, dict, list[dict]]:
    """Draws photos of two species by path, with the notes of those of two splits.

    Returns: path -> photo; split -> notes in the style of COCO; the species.
    """
    kinds = [
        {"id": n, "name": name, "supercategory": of} for n, (name, of) in enumerate(_SPECIES[year])
    ]
    photos, notes = {}, {}
    for split in ("train", "val"):
        images, labels = [], []
        for kind in kinds:
            for _ in range(_PER_CLASS):
                name = f"train_val{year}/{kind['supercategory']}/{kind['id']}/{rng.bytes(8).hex()}"
                images.append({"id": len(photos), "file_name": f"{name}.jpg"})
                labels.append({"image_id": len(photos), "category_id": kind["id"]})
                photos[f"{name}.jpg"] = drawn.photo(rng)
        notes[split] = {"images": images, "annotations": labels, "categories": kinds}
    return photos, notes, kinds


def _unlabelled(rng: np.random.Generator, year: str) -> bytes:
    return drawn.tgz({f"test{year}/{rng.bytes(8).hex()}.jpg": drawn.photo(rng) for _ in range(2)})


def _naturalist_2017(rng: np.random.Generator) -> dict:
    url = "http://www.vision.caltech.edu/~gvanhorn/datasets/inaturalist/fgvc4_competition"
    photos, notes, _ = _species(rng, "2017")
    told = {f"{split}2017.json": json.dumps(of).encode() for split, of in notes.items()}
    return {
        "files": {
            f"{url}/train_val_images.tar.gz": drawn.tgz(photos),
            f"{url}/train_val2017.zip": drawn.zipped(told),
            f"{url}/test2017.tar.gz": _unlabelled(rng, "2017"),
        }
    }


def _naturalist_2018(rng: np.random.Generator) -> dict:
    url = "https://ml-inat-competition-datasets.s3.amazonaws.com/2018"
    photos, notes, kinds = _species(rng, "2018")
    told = {f"{split}2018.json": of for split, of in notes.items()} | {"categories.json": kinds}
    packed = {
        f"{url}/{name}.tar.gz": drawn.tgz({name: json.dumps(of).encode()})
        for name, of in told.items()
    }
    return {
        "files": {
            f"{url}/train_val2018.tar.gz": drawn.tgz(photos),
            f"{url}/test2018.tar.gz": _unlabelled(rng, "2018"),
            **packed,
        }
    }


def _all_places(rng: np.random.Generator) -> dict:
    url = "http://data.csail.mit.edu/places/places365"
    names = [f"/{label}/{n:08d}.jpg" for label in ("a/abbey", "b/bakery/shop") for n in (1, 2)]
    photos = {f"Images256{name}": drawn.photo(rng, 256, 256) for name in names}
    rows = drawn.lines(f"{name} {number}" for number, name in enumerate(names))
    lists = {"filelist_placesfull/imagelist_placesfull.txt": rows}
    return {
        "files": {
            f"{url}/Images256.tar": drawn.tar(photos),
            f"{url}/filelist_placesfull.tar": drawn.tar(lists),
        }
    }


def _leaves(rng: np.random.Generator) -> dict:
    """Draws each of the 2,153 photos, small: TFDS lists an address for each."""
    from tensorflow_datasets.core import tfds_path

    listed = tfds_path("image_classification/plantae_k_urls.txt").read_text().splitlines()
    return {"files": {url.strip(): drawn.photo(rng, 8, 8) for url in listed}}


def _aircraft(rng: np.random.Generator) -> dict:
    url = "http://www.robots.ox.ac.uk/~vgg/share/decathlon-1.0"
    photos, notes = {}, {}
    for number, split in enumerate(("train", "val", "test")):
        names = [f"aircraft/{split}/{n:04d}/{number}{n:05d}.jpg" for n in (1, 2)]
        photos |= {name: drawn.photo(rng, 72, 90) for name in names}
        ending = "test_stripped" if split == "test" else split
        told = _decathlon(names, labelled=split != "test")
        notes[f"decathlon-1.0/annotations/aircraft_{ending}.json"] = json.dumps(told).encode()
    return {
        "files": {
            f"{url}-devkit.tar.gz": drawn.tgz(notes),
            f"{url}-data.tar.gz": drawn.tgz({"aircraft.tar": drawn.tar(photos)}),
        }
    }


def _decathlon(names: Iterable[str], *, labelled: bool) -> dict:
    """Returns notes in the style of COCO, the photos each of a class."""
    images = [{"id": 10 * n, "file_name": f"data/{name}"} for n, name in enumerate(names)]
    if not labelled:
        return {"images": images}
    classes = [{"id": 300 + n, "name": f"aircraft {n}"} for n in range(len(images))]
    labels = [
        {"image_id": image["id"], "category_id": one["id"]}
        for image, one in zip(images, reversed(classes), strict=True)
    ]
    return {"images": images, "annotations": labels, "categories": classes}


def _birds(rng: np.random.Generator) -> dict:
    """Draws birds, each with a box and a mask in a file of MATLAB's."""
    box = [(side, object) for side in ("left", "top", "right", "bottom")]
    photos, notes, names = {}, {}, []
    for kind in ("001.Black_footed_Albatross", "200.Common_Yellowthroat"):
        for n in range(2 * _PER_CLASS):
            name = f"{kind}/{kind[4:]}_{n:04d}_{rng.integers(10**9)}"
            photos[f"images/{name}.jpg"] = drawn.photo(rng, 40, 50)
            mask = rng.integers(0, 4, (40, 50)).astype(np.uint8)
            sides = np.array([(3 + n, 4, 30, 35 + n)], box)
            notes[f"annotations-mat/{name}.mat"] = drawn.mat(bbox=sides, seg=mask)
            names.append(f"{name}.jpg")
    lists = {
        f"lists/{split}.txt": drawn.lines(names[first::2])
        for first, split in enumerate(("train", "test"))
    }
    url = "https://drive.google.com/uc?export=download&id="
    files = {
        f"{url}1GDr1OkoXdhaXWGA8S3MAq3a522Tak-nx": ("images.tgz", photos),
        f"{url}1vZuZPqha0JjmwkdaS_XtYryE3Jf5Q1AC": ("lists.tgz", lists),
        f"{url}16NsbTpMs5L6hT4hUJAmpW2u7wH326WTR": ("annotations.tgz", notes),
    }
    return {
        "files": {address: drawn.tgz(members) for address, (_, members) in files.items()},
        "names": {address: name for address, (name, _) in files.items()},
    }


def _eyes(rng: np.random.Generator) -> dict:
    """Draws eyes without labels, with labels, and with those of two parts of a competition."""
    members = {}
    for folder in ("sample", "train", "test"):
        for n, side in enumerate(("left", "right", "left", "right")):
            members[f"{folder}/{10 + n}_{side}.jpeg"] = drawn.photo(rng)
    of_train = [f"{10 + n}_{('left', 'right')[n % 2]},{n}" for n in range(4)]
    of_test = [f"{row},{('Public', 'Private')[n // 2]}" for n, row in enumerate(of_train)]
    url = "https://storage.googleapis.com/kaggle-forum-message-attachments/90528/2877"
    members["trainLabels.csv"] = drawn.lines(["image,level", *of_train])
    return {
        "files": {f"{url}/retinopathy_solution.csv": drawn.lines(["image,level,Usage", *of_test])},
        "manual": members,
    }


ARCHIVES: Mapping[str, Maker] = {
    "caltech_birds2010": _birds,
    "cars196": _cars,
    "chexpert": _chest_photos,
    "diabetic_retinopathy_detection/original": _eyes,
    "domainnet/real": _domains,
    "geirhos_conflict_stimuli": _conflicts,
    "i_naturalist2017": _naturalist_2017,
    "i_naturalist2018": _naturalist_2018,
    "placesfull": _all_places,
    "plantae_k": _leaves,
    "visual_domain_decathlon/aircraft": _aircraft,
}

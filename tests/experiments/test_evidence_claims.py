"""What the documents claim in passing: variants that are trained, and answers from other files."""

import json

import pytest

from experiments.documented import RUNS
from experiments.evidence import model_size, pictures, plan, work
from experiments.evidence.claims import CLAIMS, COMPUTED, answer, shown, table
from experiments.evidence.store import Store, results_folder
from imgcls_jax import data
from imgcls_jax.config import Config
from imgcls_jax.errors import UserError

PLACE = {"device": "cpu: x, 2 cores", "versions": {}, "git_commit": None}


def test_claims_compare_with_a_variant_they_have():
    for claim in CLAIMS.values():
        assert claim.base in claim.variants
        assert claim.seeds >= 2
        for target in claim.targets():
            assert target.settings["model"] == "logistic_sgd" or Config.of(**target.settings)


def test_an_answer_tells_what_differs_from_the_base_and_what_does_not():
    paired = {
        "b": {"difference": 0.01, "p": 0.001},
        "c": {"difference": -0.02, "p": 0.002},
        "d": {"difference": 0.03, "p": 0.04},  # not below 0.05, as one of three
        "e": {"difference": 0.0, "p": 0.9},
    }
    result = {"base": "a", "variants": ["a", *paired], "paired": paired}
    assert answer(result) == (
        "On test: b better than a; c worse than a; d, e not told apart from a."
    )
    result["variants"].append("f")  # of which there is one seed, say
    assert answer(result) == "Not answered: f and a share too few seeds."


def test_passes_of_logistic_regression_are_compared_by_cross_validation(tmp_path):
    header = {"variants": ["max_iter 1", "max_iter 8"], "base": "max_iter 1", "says": "more helps",
              "figure": "cross_validation_accuracy", "config": {}}  # fmt: skip
    targets = [
        plan.Target("claim", RUNS[8].settings | {"epochs": n}, header, f"max_iter {n}")
        for n in (1, 8)
    ]
    store, digits = Store(tmp_path), data.load("digits")
    work.run(plan.units(targets, 2), store, load=lambda unit: digits, processes=1)
    result = store.read("claim")
    of = {(entry["variant"], entry["seed"]): entry for entry in result["seeds"]}
    assert len(of) == 4
    assert all(passes == 1 for fold in of["max_iter 1", 0]["passes"] for passes in fold)
    assert all(6 <= passes <= 8 for fold in of["max_iter 8", 0]["passes"] for passes in fold)
    gains = [
        of["max_iter 8", k]["cross_validation_accuracy"]
        - of["max_iter 1", k]["cross_validation_accuracy"]
        for k in (0, 1)
    ]
    assert result["paired"]["max_iter 8"]["difference"] == pytest.approx(sum(gains) / 2)
    header, rows = table(result)
    assert header[1] == "cross-validation"
    assert [row[2] for row in rows] == ["-", "-"]  # nobody met the training set
    assert answer(result).startswith("In cross-validation: max_iter 8")


def _file(store, stem, header, entries):
    for seed, entry in enumerate(entries):
        store.add(
            stem, {"config": {}, "documented": None, **header}, {"seed": seed, **entry}, PLACE
        )


def test_freezing_is_paired_by_seed_and_counts_the_pass_for_features(tmp_path):
    store = Store(tmp_path)
    whole = [{"test_accuracy": a, "train_seconds": s, "head_seconds": 10.0}
             for a, s in ((0.97, 300.0), (0.95, 310.0), (0.96, 290.0))]  # fmt: skip
    frozen = [{"test_accuracy": a, "train_seconds": 1.0, "feature_seconds": 9.0}
              for a in (0.96, 0.94, 0.95)]  # fmt: skip
    _file(store, "run14_mobilenet_v2_trained", {"data": "a"}, whole)
    with pytest.raises(UserError, match=r"run15_mobilenet_v2_frozen.json is missing .* --runs=15"):
        COMPUTED["freezing"].content(store.need)
    _file(store, "run15_mobilenet_v2_frozen", {"data": "a"}, [*frozen, {"test_accuracy": 0.0}])
    content = COMPUTED["freezing"].content(store.need)
    assert content["seeds"] == [0, 1, 2]  # the fourth has no partner
    assert content["paired"]["test_accuracy"]["difference"] == pytest.approx(-0.01)
    assert content["paired"]["seconds"]["difference"] == pytest.approx(-300.0)
    assert content["environments"] == [PLACE]
    _, answered = shown(content)
    assert "-1.00 points [-1.00, -1.00]" in answered
    assert "it saves 300 s [275, 325]" in answered


def test_freezing_is_not_compared_on_other_photos(tmp_path):
    store = Store(tmp_path)
    for run, kind in ((14, "trained"), (15, "frozen")):
        _file(store, f"run{run}_mobilenet_v2_{kind}", {"data": kind}, [{"test_accuracy": 0.9}] * 2)
    with pytest.raises(UserError, match="other photos"):
        COMPUTED["freezing"].content(store.need)


def test_the_chance_that_photos_are_all_right_is_that_of_drawing_without_return(tmp_path):
    store = Store(tmp_path)
    entry = {"test_accuracy": 0.9, "confusion_matrix": [[9, 1], [0, 0]]}
    for run in (12, 13, 15):
        _file(store, f"run{run}_mobilenet_v2_frozen", {"title": f"of {run}"}, [entry] * 2)
    content = COMPUTED["real_images"].content(store.need)
    assert content["runs"]["run 12"]["all_right"]["5"] == pytest.approx(0.5)  # 5 of 9 of 10
    assert content["runs"]["run 12"]["all_right"]["10"] == 0
    assert content["least"]["10"] == pytest.approx(0.05**0.1)
    (header, rows), answered = shown(content)
    assert len(header) == len(rows[0]) == len(rows[-1])
    assert "run 12: 0 %" in answered


def test_sizes_of_the_printed_kind_of_network_are_keras_own():
    assert model_size.parameters((32, 64, 64), 64) == 122_570
    # Counted by Keras 3: `padding="same"`, and a third MaxPooling2D.
    assert model_size.parameters((32, 64, 64), 64, same=True) == 319_178
    assert model_size.parameters((64, 256, 256), 128, same=True, pools=3) == 1_265_290


def test_what_would_weigh_as_much_as_documented(tmp_path):
    store = Store(tmp_path)
    entry = {"test_accuracy": 0.7, "by_epoch": {"test_accuracy": [0.6, 0.72]}}
    _file(store, "run11", {}, [entry, entry])
    saved = {"saved_bytes": {".keras": 12 * 122_570 + 40_000, ".h5": 1_518_296}}
    _file(store, "keras_run11", {}, [saved])
    study = tmp_path / "tune_cifar10.json"  # as `tune --out` writes it: no format, no digest
    study.write_text("{}")
    with pytest.raises(UserError, match=r"no entry 'winner'.* experiments\.tune cifar10"):
        COMPUTED["model_size"].content(store.need)
    study.write_text(json.dumps({"winner": {"test_accuracies": [0.86, 0.85]}}))
    content = COMPUTED["model_size"].content(store.need)
    units = content["dense_units"]["with Adam's two moments"]
    weight = 12 * model_size.parameters((32, 64, 64), units) + 40_000
    assert weight == pytest.approx(15.2e6, abs=0.05e6)
    for kind, per in (("with Adam's two moments", 12), ("weights alone", 4)):
        for found in content["near"][kind]:
            assert per * model_size.parameters(**found) == pytest.approx(15.2e6, abs=0.1e6)
    (_, rows), answered = shown(content)
    assert rows[0][1:4] == ["122,570", "0.49", "1.51"]
    assert "at best 72.0 %" in answered
    assert "saves the printed network as 1.52 MB" in answered


@pytest.mark.parametrize("claim", COMPUTED.values(), ids=COMPUTED)
def test_a_claims_file_is_what_the_files_beside_it_come_to(claim):
    store = Store(results_folder())
    if store.read(claim.stem) is None:
        pytest.skip(f"{claim.stem} was not measured")
    content = json.loads(json.dumps(claim.content(store.need)))
    kept = store.read(claim.stem)
    assert_near(content, {name: kept[name] for name in content})


def assert_near(found, kept):
    """Checks that they are equal but for the last digits, which differ by versions of Python."""
    if isinstance(kept, dict):
        assert found.keys() == kept.keys()
        for name in kept:
            assert_near(found[name], kept[name])
    elif isinstance(kept, list):
        for one, other in zip(found, kept, strict=True):
            assert_near(one, other)
    else:
        assert found == (pytest.approx(kept, rel=1e-9) if isinstance(kept, float) else kept)


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_a_claims_file_answers_and_is_drawn(claim, tmp_path):
    result = Store(results_folder()).read(claim.stem)
    if result is None:
        pytest.skip(f"{claim.stem} was not measured")
    assert answer(result).startswith(("On test: ", "In cross-validation: "))
    (path,) = pictures.draw({claim.stem: result}, tmp_path)
    assert path.stat().st_size > 10_000

"""Result files that grow by the seed: nothing is lost, and what was touched is noticed."""

import json
import multiprocessing

import pytest

from experiments.evidence.store import Store
from imgcls_jax.errors import UserError

HEADER = {"config": {"lr": 0.1}, "documented": {"figures": {"test_accuracy": 0.9}}, "watched": None}
PLACE = {"device": "cpu", "versions": {"jax": "1"}, "git_commit": "abc"}


def _entry(seed: int, accuracy: float = 0.8, **more):
    matrix = [[8, 2], [seed, 10 - seed]]
    return {"seed": seed, "test_accuracy": accuracy, "confusion_matrix": matrix, **more}


def test_a_file_grows_by_seeds_and_says_what_they_come_to(tmp_path):
    store = Store(tmp_path)
    assert store.read("a") is None
    for seed, accuracy in ((2, 0.86), (0, 0.80), (1, 0.83)):
        store.add("a", HEADER, _entry(seed, accuracy), PLACE)
    found = store.read("a")
    assert [entry["seed"] for entry in found["seeds"]] == [0, 1, 2]
    assert found["spread"]["test_accuracy"]["mean"] == pytest.approx(0.83)
    assert found["spread"]["test_accuracy"]["verdict"] == "fits"
    assert found["mean_confusion_matrix"] == [[8, 2], [1, 9]]
    assert found["environments"] == [PLACE]
    assert store.seeds("a", HEADER) == {(None, 0), (None, 1), (None, 2)}


def test_a_finished_seed_stays_and_each_tells_where_it_was_made(tmp_path):
    store = Store(tmp_path)
    store.add("a", HEADER, _entry(0, 0.80), PLACE)
    store.add("a", HEADER, _entry(0, 0.99), PLACE)
    store.add("a", HEADER, _entry(1, 0.85), PLACE | {"git_commit": "def"})
    store.add("a", HEADER, _entry(2, 0.90), PLACE)
    found = store.read("a")
    made = [(entry["test_accuracy"], entry["made"]) for entry in found["seeds"]]
    assert made == [(0.80, 0), (0.85, 1), (0.90, 0)]
    assert [place["git_commit"] for place in found["environments"]] == ["abc", "def"]


def test_a_watched_test_set_is_the_documents_validation(tmp_path):
    """As in `train.summary`: the document's program took one for the other."""
    header = {"config": {}, "documented": {"figures": {"validation_accuracy": 0.81}}}
    for watched, found in (("test", 0.815), (None, None)):
        store = Store(tmp_path / str(watched))
        for seed, accuracy in enumerate((0.80, 0.83)):
            store.add(
                "a", header | {"watched": watched}, _entry(seed, accuracy, test_loss=0.5), PLACE
            )
        compared = store.read("a")["spread"].get("validation_accuracy", {"mean": None})
        assert compared["mean"] == pytest.approx(found)


def test_variants_are_paired_seed_by_seed(tmp_path):
    store = Store(tmp_path)
    header = {"config": {}, "variants": ["a", "b"], "base": "a"}
    for seed, (a, b) in enumerate(((0.8, 0.82), (0.7, 0.73), (0.9, 0.91))):
        store.add("c", header, {"seed": seed, "variant": "b", "test_accuracy": b}, PLACE)
        store.add("c", header, {"seed": seed, "variant": "a", "test_accuracy": a}, PLACE)
    found = store.read("c")
    assert found["paired"]["b"]["difference"] == pytest.approx(0.02)
    # Of the differences 0.02, 0.03 and 0.01, whose deviation is 0.01; unpaired it would be 0.24.
    assert found["paired"]["b"]["t"] == pytest.approx(0.02 / (0.01 / 3**0.5))
    assert found["spread"]["a"]["test_accuracy"]["mean"] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda f: f["seeds"][0].update(test_accuracy=0.95), "was changed by hand"),
        (lambda f: f.update(format=1), "is of another version"),
        (lambda f: f.pop("format"), "is of another version"),
    ],
)
def test_a_file_of_another_hand_is_refused_and_kept(tmp_path, change, sentence):
    store = Store(tmp_path)
    store.add("a", HEADER, _entry(0), PLACE)
    content = json.loads((tmp_path / "a.json").read_text())
    change(content)
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=sentence):
        store.read("a")
    with pytest.raises(UserError, match=sentence):
        store.add("a", HEADER, _entry(1), PLACE)
    assert json.loads((tmp_path / "a.json").read_text()) == content


def test_other_settings_and_no_json_are_refused(tmp_path):
    store = Store(tmp_path)
    store.add("a", HEADER, _entry(0), PLACE)
    with pytest.raises(UserError, match="holds other settings"):
        store.add("a", HEADER | {"config": {"lr": 0.2}}, _entry(1), PLACE)
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(UserError, match=r"b\.json cannot be used"):
        store.read("b")


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write into .*; give another --out"):
        Store(tmp_path / "file").add("a", HEADER, _entry(0), PLACE)


def _add_some(folder, seeds):
    for seed in seeds:
        Store(folder).add("a", HEADER, _entry(seed), PLACE)


def test_two_processes_add_to_one_file(tmp_path):
    context = multiprocessing.get_context("fork")
    halves = [context.Process(target=_add_some, args=(tmp_path, s)) for s in ([0, 2, 4], [1, 3, 5])]
    for process in halves:
        process.start()
    for process in halves:
        process.join(60)
    assert [entry["seed"] for entry in Store(tmp_path).read("a")["seeds"]] == list(range(6))


def test_work_is_claimed_by_one_at_a_time_and_locks_go_at_the_end(tmp_path):
    store = Store(tmp_path)
    with store.claim("unit") as mine, Store(tmp_path).claim("unit") as other:
        assert (mine, other) == (True, False)
    with Store(tmp_path).claim("unit") as again:
        assert again
    store.tidy(["unit"])
    assert not store.unfinished.exists()
    store.add("a", HEADER, _entry(0), PLACE)
    store.tidy(["unit"])
    assert [path.name for path in store.unfinished.iterdir()] == ["a.file.lock"]


def test_other_settings_and_data_are_refused_before_anything_is_trained(tmp_path):
    store = Store(tmp_path)
    store.add("a", HEADER | {"data": "one"}, _entry(0), PLACE)
    assert store.seeds("a", HEADER | {"data": "one"})
    assert store.seeds("a", HEADER)  # before the data is loaded
    with pytest.raises(UserError, match="holds other settings"):
        store.seeds("a", HEADER | {"config": {"lr": 0.2}})
    with pytest.raises(UserError, match="holds figures of other data"):
        store.seeds("a", HEADER | {"data": "two"})

"""JSON that is valid for Python and wrong for us is one sentence, from any file."""

from typing import TypedDict

import pytest

from imgcls_jax.errors import UserError
from imgcls_jax.files import typed


class Record(TypedDict):
    names: list[str]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "Expecting value"),
        (b'{"names": ["a"]', "Expecting"),
        (b'{"names": ["\xff"]}', "codec can't decode"),
        (b'{"names": NaN}', "it holds NaN, which is no number"),
        (b'{"names": [], "more": -Infinity}', "it holds -Infinity, which is no number"),
        (b'{"names": [], "more": 1e999}', "it holds 1e999, which is too large a number"),
        (b'{"names": [], "names": ["b"]}', "it has `names` twice in one object"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"names": []' + b', "more": {"a": ' * 60 + b"1" + b"}" * 61, "Expecting|nested"),
        (b'{"names": [], "more": ' + b"[" * 60 + b"]" * 60 + b"}", "it is nested too deeply"),
        (b'{"names": ' + b"9" * 5000 + b"}", "digits"),
        (b"[]", "it is a list of 0 and not an object"),
        (b"{}", "`names` is missing"),
        (b'{"names": "a"}', "`names` is 'a' and not a list"),
        (b'{"names": [1]}', r"`names\[0\]` is 1 and not text"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(content, says, tmp_path):
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=says) as caught:
        typed.read(path, Record, advice="make it anew")
    assert str(caught.value).startswith(f"{path} cannot be used (")
    assert str(caught.value).endswith("); make it anew.")
    assert "\n" not in str(caught.value)


def test_what_fits_is_read_and_a_missing_file_is_none(tmp_path):
    path = tmp_path / "record.json"
    assert typed.read(path, Record, advice="") is None
    assert typed.read(path / "below", Record, advice="") is None
    path.write_text('{"names": ["\\ud55c\\n"], "more": [[[1e308, -0.0, 1]]]}')
    found = {"names": ["한\n"], "more": [[[1e308, -0.0, 1]]]}
    assert typed.read(path, Record, advice="") == found


def test_a_folder_in_a_files_place_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory\); make it anew\."):
        typed.read(tmp_path, Record, advice="make it anew")

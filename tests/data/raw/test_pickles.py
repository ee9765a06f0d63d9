"""Pickles: what NumPy wrote comes back, whatever else they ask for is refused."""

import builtins
import functools
import io
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from data_helpers import Calls, python2_pickle
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcls_jax.data.raw import pickles
from imgcls_jax.errors import UserError

ARRAY = np.random.default_rng(0).integers(0, 256, (3, 7), np.uint8)
CONTENT = {"data": ARRAY, "labels": [9, 0, 255, 256, -1], "batch_label": "training batch 1 of 5"}


def refused(data: bytes) -> str:
    with pytest.raises(UserError) as error:
        pickles.load(data, where="the file")
    message = str(error.value)
    assert message.startswith("the file is ")
    assert message.endswith(".")
    assert "\n" not in message
    return message


WRITERS = {"Python 2": python2_pickle} | {
    f"protocol {protocol}": functools.partial(pickle.dumps, protocol=protocol)
    for protocol in range(6)
}


@pytest.mark.parametrize("dump", WRITERS.values(), ids=WRITERS)
def test_reads_what_was_written(dump):
    read = pickles.load(dump(CONTENT), where="the file")
    np.testing.assert_array_equal(read.pop("data"), ARRAY)
    assert read == {name: value for name, value in CONTENT.items() if name != "data"}


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_fortran_order(protocol):
    data = pickle.dumps({"data": np.asfortranarray(ARRAY)}, protocol)
    np.testing.assert_array_equal(pickles.load(data, where="the file")["data"], ARRAY)


@pytest.mark.parametrize("protocol", [2, 5])
def test_axes_in_an_order_of_their_own(protocol):
    turned = ARRAY.reshape(3, 7, 1).transpose(1, 2, 0)
    read = pickles.load(pickle.dumps({"data": turned}, protocol), where="the file")
    np.testing.assert_array_equal(read["data"], turned)


@pytest.mark.parametrize("protocol", range(6))
def test_saved_again_with_bytes_for_keys(protocol):
    data = pickle.dumps({name.encode(): value for name, value in CONTENT.items()}, protocol)
    read = pickles.load(data, where="the file")
    np.testing.assert_array_equal(read.pop("data"), ARRAY)
    assert read == {name: value for name, value in CONTENT.items() if name != "data"}


HOSTILE = {
    "system": Calls(os.system, "touch ran"),
    "exec": Calls(exec, "open('ran', 'w')"),
    "getattr": Calls(builtins.getattr, ARRAY, "tofile"),
    "subprocess": Calls(subprocess.check_call, ["touch", "ran"]),
    "open": Calls(io.open, "ran", "w"),
    "NumPy's loader": Calls(np.load, "ran", None, True),
    "NumPy's scalar": np.int64(3),
    "a class of ours": Calls(Calls, 1),
}


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_code_is_refused_and_not_run(tmp_path, monkeypatch, value, protocol):
    monkeypatch.chdir(tmp_path)
    message = refused(pickle.dumps({"data": ARRAY, "labels": value}, protocol))
    assert "its pickle asks for '" in message
    assert "may run code" in message
    assert not (tmp_path / "ran").exists()


def test_a_name_with_a_line_break_stays_in_the_sentence():
    assert "'a\\nb.c'" in refused(b"\x80\x04\x8c\x03a\nb\x8c\x01c\x93.")


OTHERS = {
    "empty": b"",
    "no pickle": b"<!DOCTYPE html>",
    "list": pickle.dumps([1]),
    "32-bit array": pickle.dumps({"data": ARRAY.astype(np.int32)}),
    "array of objects": pickle.dumps({"data": ARRAY.astype(object)}),
    "array without content": (
        b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87Rs."
    ),
    "shape larger than the content": python2_pickle({"data": ARRAY}).replace(
        b"J\3\0\0\0J\7\0\0\0t", b"J\3\0\0\0J\7\0\0\1t"
    ),
    "object from elsewhere": b"\x80\x02}U\x04dataU\x01xQs.",
    "memo number that would fill the memory": b"\x80\x02}r\xff\xff\xff\x7f" + b"X\xff\xff\xff\xff",
    "endless byte array": b"\x80\x05\x96" + b"\xff" * 5 + b"\0\0\0",
    "endless byte array of protocol 5": b"\x80\x05\x96" + b"\xff" * 8,
    "length in place of bytes": python2_pickle({"data": ARRAY}).replace(
        b"T\x15\0\0\0" + ARRAY.tobytes(), b"\x8a\x06" + b"\xff" * 5 + b"\0"
    ),
    "key that takes for ever to hash": b"\x80\x02}K\x01\x85" + b"q\0h\0h\0\x87" * 60 + b"K\x01s.",
    "keys that take for ever": b"\x80\x02}(K\x01\x85" + b"q\0h\0h\0\x87" * 60 + b"K\x01u.",
    "dict of such": b"(K\x01\x85" + b"q\0h\0h\0\x87" * 60 + b"K\x01d.",
    "set of such": b"\x80\x04\x8f(K\x01\x85" + b"q\0h\0h\0\x87" * 60 + b"\x90.",
    "endless text": b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f",
}


@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS)
def test_other_files_are_refused(data):
    assert "is truncated or not the expected pickle (" in refused(data)


@pytest.mark.parametrize("dump", WRITERS.values(), ids=WRITERS)
def test_truncated_anywhere(dump):
    data = dump(CONTENT)
    for length in range(len(data)):
        refused(data[:length])


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_damage_ends_in_a_dict_or_one_sentence(data):
    dump = data.draw(st.sampled_from([python2_pickle, functools.partial(pickle.dumps, protocol=5)]))
    content = bytearray(dump(CONTENT))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = pickles.load(bytes(content), where="the file")
    except UserError:
        return
    assert isinstance(read, dict)


def test_one_pickle_cannot_change_the_reading_of_the_next():
    """BUILD may set attributes of what a pickle names; the second state of a pair is set so."""
    attributes = pickle.dumps({"fill": 1, "__setstate__": 2, "__code__": 3, "kind": 4}, 2)[2:-1]
    for name in ("numpy\nndarray", "numpy\ndtype", "numpy.core.multiarray\n_reconstruct"):
        hostile = b"\x80\x02c" + name.encode() + b"\nN" + attributes + b"\x86b."
        refused(hostile)
    read = pickles.load(pickle.dumps(CONTENT, 2), where="the file")
    np.testing.assert_array_equal(read["data"], ARRAY)
    turned = b"N}U\x0c__defaults__K\x01K\0\x86\x85s\x86b"  # other axes where none are given
    refused(b"\x80\x02cnumpy.core.numeric\n_frombuffer\n" + turned + b".")
    read = pickles.load(pickle.dumps(CONTENT, 5), where="the file")
    np.testing.assert_array_equal(read["data"], ARRAY)


def test_reading_a_hostile_pickle_does_not_even_import_what_it_names():
    code = (
        "import sys; from imgcls_jax.data.raw import pickles\n"
        "try: pickles.load(b'cantigravity\\nx\\n.', where='x')\n"
        "except Exception as error: print(type(error).__name__, 'antigravity' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "UserError False"

"""Files that are read: what is no file is not waited for, no memory is filled, one door for all."""

import ast
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from imgcls_jax.errors import UserError
from imgcls_jax.files import reading

ROOT = Path(__file__).parents[1]


def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    for name, what in (("pipe", "a named pipe"), ("device", "a device")):
        with pytest.raises(OSError, match=f"it is {what} and no file"):
            reading.opened(tmp_path / name)
    with pytest.raises(IsADirectoryError):
        reading.opened(tmp_path)


# Own files and the system's, or what has asked `require_regular` or `Path.is_file` before.
_OPEN_BY_THEMSELVES = {
    "imgcls_jax.files.reading": "open",
    "imgcls_jax.data.catalog.preparing.gfile": "open",
    "imgcls_jax.data.catalog.hf.peek": "open",
    "imgcls_jax.data.catalog.debian": "read_text",
    "imgcls_jax.data.memory": "read_text",
    "imgcls_jax.files.processes": "read_text",
    "imgcls_jax.report.page": "read_text",
    "imgcls_jax.train.workers": "read_bytes",
    "imgcls_jax.workdir": "read_text",
}


def test_whatever_is_read_is_opened_by_the_one_function():
    found = set()
    for path in (ROOT / "imgcls_jax").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
            modes = [a.value for a in node.args if isinstance(a, ast.Constant)]
            plain = isinstance(node.func, ast.Name) and called == "open"
            reads = called == "open" and "rb" in modes
            if called in ("read_text", "read_bytes") or plain or reads:
                found.add((name, called))
    assert found == set(_OPEN_BY_THEMSELVES.items())


def test_arrays_are_read_as_they_were_written(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array("text"), "c": np.zeros((0, 4))}
    np.savez(tmp_path / "a.npz", **arrays)
    for names in (None, ["b"]):
        found = reading.read_arrays(tmp_path / "a.npz", names)
        assert list(found) == list(names or arrays)
        assert all(np.array_equal(found[name], arrays[name]) for name in found)
    with pytest.raises(KeyError):
        reading.read_arrays(tmp_path / "a.npz", ["d"])


def test_arrays_that_could_run_code_or_fill_the_memory_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, a=np.array([{}], object))
    with pytest.raises(ValueError, match="another size"):
        reading.read_arrays(path)
    np.savez_compressed(path, a=np.zeros(10**6))
    with pytest.raises(ValueError, match="is compressed"):
        reading.read_arrays(path)
    header = io.BytesIO()
    told = {"descr": "<f8", "fortran_order": False, "shape": (2**40,)}
    np.lib.format.write_array_header_1_0(header, told)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", header.getvalue() + bytes(80))
    with pytest.raises(ValueError, match="another size"):
        reading.read_arrays(path)


def test_json_that_is_nested_too_deeply_is_no_json(tmp_path):
    (tmp_path / "a.json").write_text("[" * 10**5)
    with pytest.raises(ValueError, match="nested too deeply"):
        reading.read_json(tmp_path / "a.json")


def test_an_error_for_a_person_stays_on_one_line():
    assert str(UserError("a\nb\x1b[31m\ud800 is é.")) == r"a\nb\x1b[31m\ud800 is é."

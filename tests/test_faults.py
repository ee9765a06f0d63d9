"""The planted faults keep up with the library: see `python -m tests.faults.run --help`."""

from collections import Counter

import pytest
from faults import catalogue
from faults.fault import Fault


def test_every_fault_has_a_name_of_its_own_and_changes_something():
    names = Counter(fault.name for fault in catalogue.FAULTS)
    assert not [name for name, count in names.items() if count > 1]
    assert all(fault.old != fault.new and fault.tests for fault in catalogue.FAULTS)
    assert len(names) >= 100


def test_every_fault_can_be_planted_and_its_tests_are_there():
    assert catalogue.outdated() == []


def test_every_fault_leaves_a_program():
    """A fault that is no Python would be noticed by any test, and would say nothing."""
    for fault in catalogue.FAULTS:
        planted = fault.planted_in((catalogue.ROOT / fault.file).read_text())
        compile(planted, fault.file, "exec")


def test_a_fault_whose_text_is_gone_or_there_twice_is_refused():
    fault = Fault("late", "a.py", "is late", "now", "later", ("tests/test_a.py",))
    assert fault.planted_in("do it now") == "do it later"
    for text, count in (("do it", 0), ("now and now", 2)):
        with pytest.raises(ValueError, match=f"fault late stands {count} times in a.py, not once"):
            fault.planted_in(text)

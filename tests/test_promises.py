import pytest

from tests.promises import faults

TABLE = "\n| promise | shown by |\n|---|---|\n| **In all** | |\n| {} |\n\nMore.\n"


def test_every_promise_is_shown_by_tests_that_are_there() -> None:
    assert faults() == []


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("It holds | `test_promises.py`", "'It holds' names no test as `file.py::function`."),
        ("It holds | ", "'It holds' names no test as `file.py::function`."),
        (
            "It holds | `test_promises.py::test_no`",
            "'It holds' names test_promises.py::test_no, which is not there.",
        ),
        ("It holds | `no.py::test_no`", "'It holds' names no.py::test_no, which is not there."),
    ],
)
def test_one_that_is_not(row: str, fault: str) -> None:
    assert faults(TABLE.format(row)) == [fault]

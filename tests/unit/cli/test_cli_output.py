from __future__ import annotations

import pytest

from services.cli import output
from services.cli.tables import Listing, show


def test_no_value_moves_the_cursor_of_who_reads_it(capsys: pytest.CaptureFixture[str]) -> None:
    output.result("city\x1b[2J\r\nnext line")
    output.message("city\u202egnp")
    show(Listing(["column"], [["a\x1b]0;title\x07"]]))

    told = capsys.readouterr()
    assert told.out == "city\ufffd[2J\ufffd\nnext line\ncolumn\na\ufffd]0;title\ufffd\n"
    assert told.err == "city\ufffdgnp\n"

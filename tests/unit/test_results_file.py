"""The file that keeps what was measured: where it may be, and what a kill may leave of it."""

import pytest

from recast.errors import RequestError
from recast.evaluation.results import ResultsFile


def test_results_need_a_place_and_a_first_line_that_was_cut_short_is_no_other_measurement(tmp_path):
    file = ResultsFile(tmp_path / "r.jsonl", {"model": "x"})
    file.path.write_text('{"mod')
    assert file.rows() == {}
    file.add("a", [1])
    assert file.rows() == {"a": [1]}
    file.path.write_bytes(b"\xff\xfe")
    with pytest.raises(RequestError, match="results of another model"):
        file.rows()
    for path, message in ((tmp_path, "is a folder; name a file"), (tmp_path / "no/r.jsonl", "make it first")):
        with pytest.raises(RequestError, match=message):
            ResultsFile(path, {}).rows()

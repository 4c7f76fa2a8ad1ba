"""`untrimmed compare` at the command line."""

import pytest

from tests.experiments.planted import content, write
from tests.methods.planted import plant
from untrimmed.cli import main


def test_published_rows_stand_below(tmp_path, capsys):
    plant(tmp_path / "d", train=6, test=3, empty=1)
    path = write(tmp_path, content(seeds=1, pairs=[]))
    with pytest.raises(SystemExit) as end:
        main(["compare", str(path), "--out", str(tmp_path / "out"), "--published"])
    assert end.value.code == 0
    page = capsys.readouterr().out
    ours, _, theirs = page.partition("## Published")
    assert "| with " in ours
    assert "S1: 10 THUMOS14" in theirs
    assert "| 60.0" in theirs
    assert "W-TALC" not in theirs, "only the methods that were run"


def test_help_for_what_is_missing(capsys):
    for arguments, words in (([], "give an experiment file"), (["x.yaml"], "--out DIR")):
        with pytest.raises(SystemExit) as end:
            main(["compare", *arguments])
        assert end.value.code == 2
        assert words in capsys.readouterr().err

"""The tutorial notebook, executed by Jupyter's own kernel beside the README's films."""

import json
import os
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT
from untrimmed.data.annotations import read_detections

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
EXECUTE = """
import sys, nbformat, nbclient
book = nbformat.read(sys.argv[1], as_version=4)
nbformat.validate(book)
nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute()
nbformat.write(book, sys.argv[2])
"""


def shown(cell) -> dict[str, str]:
    """What a cell shows, by kind: `text/html`, `text/plain`, and what it printed as `stdout`."""
    texts: dict[str, str] = {}
    for output in cell["outputs"]:
        assert output["output_type"] != "error", output
        data = output.get("data", {output.get("name", ""): output.get("text", "")})
        for kind, text in data.items():
            if set(data) == {"text/plain"} and output["output_type"] == "display_data":
                kind = "progress"
            texts[kind] = texts.get(kind, "") + "".join(text)
    return texts


def test_the_notebook_runs_from_the_first_cell_to_the_last(folder, tmp_path):
    for package in ("nbclient", "ipykernel", "pandas"):
        pytest.importorskip(package)
    text = NOTEBOOK.read_text(encoding="utf-8")
    quick = text
    for whole, part in (
        ("epochs = 30 ", "epochs = 2 "),
        ('out=\\"runs/notebook\\"', 'out=\\"runs/notebook\\", workers=1'),
        ('out=\\"runs/notebook-refined\\"', 'out=\\"runs/notebook-refined\\", rounds=1'),
    ):
        assert quick.count(whole) == 1
        quick = quick.replace(whole, part)
    (tmp_path / "quick.ipynb").write_text(quick, encoding="utf-8")
    paths = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment = os.environ | {"PYTHONPATH": paths, "IPYTHONDIR": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path / "run")}
    command = [sys.executable, "-c", EXECUTE, str(tmp_path / "quick.ipynb"), str(tmp_path / "done.ipynb")]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]

    cells = [
        cell for cell in json.loads((tmp_path / "done.ipynb").read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"
    ]
    by_code = {"".join(cell["source"]): shown(cell) for cell in cells}
    assert next(out for code, out in by_code.items() if "show(" in code)["text/html"].startswith("<svg")
    training = next(out for code, out in by_code.items() if "train(" in code)
    assert "extracting: 100/100 % (7/7)" in training["progress"]
    found = next(out for code, out in by_code.items() if "localize(run" in code)["text/html"]
    assert "notebook.json: " in found
    assert "<td>match_0" in found
    assert "protocol   activitynet" in next(out for code, out in by_code.items() if code.endswith("\nscores"))["text/html"]
    assert "AP@0.5" in by_code["scores.to_pandas()"]["text/html"]
    assert "match_07,\n" in (folder / "runs" / "notebook.labels.csv").read_text()
    assert set(read_detections(folder / "refined.json").results) == {"match_08", "match_09"}
    assert (folder / "notebook-elan" / "match_09.eaf").exists()


def test_the_notebook_is_kept_without_outputs():
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None

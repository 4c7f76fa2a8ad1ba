"""benchmarks/annotated_plot.py: curves over annotated videos."""

import numpy as np
import pytest
from PIL import Image

import annotated_plot

HEAD = "data,run,metric,mean,std,seeds,selection,values\n"


def test_curves_are_read_and_drawn(tmp_path):
    given = "(+ 1 annotated video(s) per class, segments)"
    rows = [
        ("none", 0.8),
        (f"1 segments {given}", 0.85),
        ("all segments", 0.9),
        ("5 points", 0.86),
        ("1 alone", 0.5),
        ("SRNet", 0.1),
    ]
    table = tmp_path / "results.csv"
    table.write_text(
        HEAD + "".join(f'demo,"{run}",mAP@0.5,{mean},0.01,2,last,\n' for run, mean in rows) + "demo,none,mAP@0.3,1,nan,1,last,\n"
    )
    curves = annotated_plot.read_curves(table)["demo"]
    assert curves["segments"] == {"0": (80, 1), "1": (85, 1), "all": (90, 1)}
    assert curves["points"] == {"0": (80, 1), "5": (86, 1)}
    assert curves["alone"] == {"1": (50, 1)}
    annotated_plot.main([str(table), "--out", str(tmp_path / "curves.png")])
    image = np.asarray(Image.open(tmp_path / "curves.png").convert("RGB")).reshape(-1, 3)
    drawn = {tuple(pixel) for pixel in np.unique(image, axis=0)}
    for colour in annotated_plot.LINES.values():
        assert tuple(bytes.fromhex(colour[1:])) in drawn


def test_another_table_is_refused(tmp_path):
    (tmp_path / "results.csv").write_text(HEAD + "demo,DGAM,mAP@0.5,0.5,0.1,2,last,\n")
    with pytest.raises(ValueError, match="of runs called"):
        annotated_plot.read_curves(tmp_path / "results.csv")

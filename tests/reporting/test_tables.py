"""Tables as text: means, best, what is missing, and characters that mean something elsewhere."""

import math

import numpy as np
import pytest

from untrimmed.reporting.tables import (
    Difference,
    Metric,
    Table,
    csv_text,
    deviation,
    differences_csv,
    differences_markdown,
    latex,
    markdown,
    plot,
)

MAP, ERROR = Metric("mAP@0.5", True, True), Metric("attention:att-gt/gt", False, False)


def table(**changes):
    values = (((0.301, 0.309), (0.7, 0.9)), ((0.25, 0.35), (0.6,)), ((), (0.5, 0.51)))
    fields = {"name": "splice", "caption": "protocol activitynet.", "metrics": (MAP, ERROR), "runs": ("a", "b_1", "c|d")}
    return Table(**{**fields, "values": values, "wanted": 2, **changes})


def test_markdown():
    lines = markdown(table()).splitlines()
    assert lines[:3] == ["## splice", "", "protocol activitynet."]
    rows = [[cell.strip() for cell in line.replace(r"\|", "/").strip("|").split("|")] for line in lines[4:]]
    assert rows[0] == ["run", "mAP@0.5 (%)", "attention:att-gt/gt ↓"]
    assert rows[2] == ["a", "**30.5** ± 0.6", "0.800 ± 0.141"]
    assert rows[3] == ["b_1", "30.0 ± 7.1", "0.600 (1 of 2 seeds)"]
    assert rows[4] == ["c/d", "–", "**0.505** ± 0.007"], "lower is better"
    assert len({len(line) for line in lines[4:]}) == 1


def test_nothing_is_best_where_all_are_equal():
    assert "**" not in markdown(table(values=(((0.3,), (0.1,)),) * 3))


def test_latex_is_escaped():
    text = latex(table(caption="50 % of _all_"))
    assert r"b\_1 & 30.0 $\pm$ 7.1" in text
    assert r"50 \% of \_all\_" in text
    assert r"\textbf{30.5} $\pm$ 0.6" in text
    assert text.count("&") == 4 * 2


def test_csv_holds_every_seed():
    lines = csv_text([table()], "last", [0, 1]).splitlines()
    assert lines[1] == "splice,a,mAP@0.5,0.305000,0.005657,2,last,0.301000 0.309000"
    assert lines[5] == "splice,c|d,mAP@0.5,,,0,last,"


def test_differences():
    found = [
        Difference("splice", "a", "b", MAP, 0.051, (-0.01, 0.1), 5, "seeds and videos (bootstrap)"),
        Difference("splice", "a", "b", ERROR, -0.0001, None, 1, "seeds (t)"),
    ]
    text = differences_markdown(found)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert rows[2][2:5] == ["mAP@0.5 (%)", "+5.1", "-1.0 to +10.0"]
    assert "| +0.000 " in text, "no minus zero"
    assert "a,b,mAP@0.5,0.051000,-0.010000,0.100000,5" in differences_csv(found)


def test_deviation_is_of_the_sample():
    assert deviation([1.0, 2.0, 4.0]) == pytest.approx(np.std([1, 2, 4], ddof=1))
    assert math.isnan(deviation([1.0]))


def test_plot_draws_what_there_is(tmp_path):
    plot([table(), table(name="other", metrics=(MAP,), values=(((0.1,),), ((),), ((0.3,),)))], tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_many_metrics_stand_below_each_other():
    metrics = tuple(Metric(f"m{number}", False, True) for number in range(20))
    whole = Table("d", "c", metrics, ("a", "b"), tuple(tuple((float(row * number),) for number in range(20)) for row in (1, 2)), 1)
    blocks = whole.blocks()
    assert [metric for block in blocks for metric in block.metrics] == list(metrics)
    assert max(len(block.metrics) for block in blocks) <= 8
    assert [value for block in blocks for value in block.values[1]] == list(whole.values[1])
    assert markdown(whole).count("| run") == latex(whole).count(r"\begin{tabular}") == len(blocks) == 3


def test_names_that_latex_or_a_plot_would_read_otherwise(tmp_path):
    odd = Table("s_1", "100 % & more", (Metric("a>b", True, True),), ("[x] $y_{$", "* z ~^\\"), (((0.5,),), ((0.25,),)), 1)
    text = latex(odd)
    assert r"{[}x] \$y\_\{\$ & " in text
    assert r"{*} z \textasciitilde{}\textasciicircum{}\textbackslash{} & " in text
    assert r"a$>$b (\%)" in text
    plot([odd], tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000

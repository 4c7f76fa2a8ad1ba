"""The published numbers are whole and as the slides have them."""

from collections import Counter

import pytest

from untrimmed.data.errors import InputError
from untrimmed.methods.registry import METHODS
from untrimmed.reporting.published import Published, fitting, markdown, read_published, select

ROWS = read_published()


def test_as_many_numbers_as_the_tables_have():
    assert Counter((row.deck, row.table) for row in ROWS if row.deck not in ("field", "others")) == {
        ("S1", "09 swap study"): 4 * 5,
        ("S1", "10 attention statistics"): 4 * 2,
        ("S1", "10 THUMOS14"): 12 * 9 - 34,
        ("S1", "12 ActivityNet1.2"): 9 * 11 - 14,
        ("S2", "clustering"): 3 * 3,
        ("S2", "THUMOS14"): 21 * 5 - 15,
        ("S3", "settings"): 14,
        ("S3", "1 THUMOS14 classification"): 6 * 3 - 6,
        ("S3", "2 ActivityNet1.3 classification"): 3 * 3,
        ("S3", "3 THUMOS14 detection"): 15 * 9 - 42,
        ("S3", "4 ActivityNet1.3 detection"): 10 * 4 - 7,
    }
    assert sum(row.deck == "field" for row in ROWS) == 687


@pytest.mark.parametrize(
    ("deck", "table", "method", "supervision", "metric", "value"),
    [
        ("S1", "09 swap study", "DGAM (attention N, classification O)", "weak", "mAP@0.4", "38.2"),
        ("S1", "09 swap study", "DGAM (attention O, classification N)", "weak", "mAP@0.7", "9.8"),
        ("S1", "10 attention statistics", "DGAM w/o GAM", "weak", "attention:gt-att/gt", "0.858"),
        ("S1", "10 attention statistics", "DGAM", "weak", "attention:att-gt/gt", "0.698"),
        ("S1", "10 THUMOS14", "3C-Net", "weak", "mAP@0.7", "7.7"),
        ("S1", "10 THUMOS14", "DGAM", "weak", "mAP@0.9", "0.4"),
        ("S1", "12 ActivityNet1.2", "SSN", "full", "mAP@0.5:0.95", "26.6"),
        ("S1", "12 ActivityNet1.2", "DGAM", "weak", "mAP@0.95", "5.3"),
        ("S1", "12 ActivityNet1.2", "Liu et al.", "weak", "mAP@0.75", "22.0"),
        ("S2", "THUMOS14", "TAL-Net", "full", "mAP@0.7", "20.8"),
        ("S2", "THUMOS14", "TCAM", "weak", "mAP@0.5", "30.1"),
        ("S2", "THUMOS14", "TCAM", "unsupervised", "mAP@0.5", "25.0"),
        ("S2", "clustering", "TCAM (row 3 of 3, unnamed on the slide)", "unsupervised", "clustering:nmi", "0.811"),
        ("S3", "2 ActivityNet1.3 classification", "TSRNet", "weak", "classification:accuracy", "79.7"),
        ("S3", "3 THUMOS14 detection", "TSRNet", "weak", "mAP@0.9", "0.29"),
        ("S3", "3 THUMOS14 detection", "(Zhao et al. 2017)", "full", "mAP@0.1", "66.0"),
        ("S3", "4 ActivityNet1.3 detection", "TSRNet (pretrained:[TSRNet@overlap30])", "weak", "mAP@0.5:0.95", "21.78"),
        ("field", "CVPR 2023", "PivoTAL", "weak", "mAP@0.1:0.7", "49.6"),
    ],
)
def test_entries(deck, table, method, supervision, metric, value):
    wanted = (deck, table, method, supervision, metric)
    found = [row.value for row in ROWS if (row.deck, row.table, row.method, row.supervision, row.metric) == wanted]
    assert found[:1] == [value], "the first stream or data set, where there are several"


def test_every_field_says_something_and_values_are_numbers():
    for row in ROWS:
        assert all(vars(row).values()), row
        float(row.value)
        assert row.supervision in ("weak", "full", "unsupervised", "unknown")
        assert row.protocol == "unknown" or row.deck == "others", "no slide says which evaluator made its numbers"
        assert "<" not in row.method


def test_no_number_stands_twice():
    assert not [
        key for key, count in Counter(tuple(vars(row).values()) for row in ROWS if row.deck != "field").items() if count > 1
    ]


def test_those_that_fit():
    rows = fitting(ROWS, ["wtalc", "tcam"], ["thumos14:mAP@0.5", "classification:accuracy"])
    assert {row.method for row in rows} == {"W-TALC", "W-TALC, the code run by a user", "TCAM", "Gong et al."}
    assert {row.metric for row in rows} == {"mAP@0.5"}
    rows = fitting(ROWS, ["tsrnet"], ["classification:accuracy"])
    assert {row.value for row in rows} == {"74.4", "79.6", "87.1", "79.7", "84.3", "91.2"}


def test_every_published_method_has_its_rows():
    for method in METHODS:
        rows = fitting(ROWS, [method], ["mAP@0.5", "mAP@0.1:0.7"])
        assert rows or method == "selftrain", method
    rows = fitting(ROWS, ["um"], ["mAP@0.5"])
    assert [(row.table, row.value) for row in rows if row.dataset == "THUMOS14"] == [("AAAI 2021", "33.7")]  # docs/paper_index.md


def test_what_others_measured_stands_beside():
    rows = fitting(ROWS, ["co2net", "delu"], ["mAP@0.1:0.7"])
    assert {row.value for row in rows} == {"44.6", "41.9", "46.4", "45.9", "44.7"}
    page = markdown(rows)
    assert page.count("###") == 1
    assert "best on the test videos" in page


def test_selection():
    rows = select(ROWS, ["deck=S2", "method=tcam", "method=Autoloc", "metric=mAP@0.5"])
    assert [row.value for row in rows] == ["21.2", "30.1", "25.0"]
    for conditions, words in (
        (["deck"], "column=value"),
        (["dekc=S1"], "did you mean 'deck'"),
        (["deck=S9"], "no published number fits"),
    ):
        with pytest.raises(InputError, match=words):
            select(ROWS, conditions)


def test_page_shows_every_number():
    page = markdown(ROWS)
    assert page.count("\n### S") == 11
    line = next(line for line in page.splitlines() if line.startswith("| DGAM (attention N, classification N)"))
    assert [cell.strip() for cell in line.strip("|").split("|")][-5:] == ["46.8", "38.2", "28.8", "19.8", "11.4"]
    assert "No published number" in markdown([])
    assert isinstance(ROWS[0], Published)

"""Each exporter against a reader written here: what goes out comes back."""

import csv as csv_reader
import html
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untrimmed.data.errors import InputError
from untrimmed.data.files import unquote_cell
from untrimmed.data.types import Detection
from untrimmed.interchange import csv, eaf, srt, vtt
from untrimmed.interchange.text import label_on_tier, milliseconds, one_line

times = st.floats(0, 400_000, allow_nan=False)
labels = st.one_of(
    st.sampled_from(["goal", "=1+1", "＝1", "-5", "@x", "+a", "'=b", "a --> b", "<b>&amp;", "goal (2)", 'x,y;"z"']),
    st.text(min_size=1, max_size=12),
)
labels = labels.filter(lambda label: label.strip() and not any("\ud800" <= c <= "\udfff" for c in label))
scores = st.floats(allow_nan=False, allow_infinity=False)
detections = st.builds(lambda a, b, label, score: Detection(min(a, b), max(a, b), label, score), times, times, labels, scores)
found_lists = st.lists(detections, max_size=8)


def to_ms(clock: str) -> int:
    hours, minutes, seconds = re.fullmatch(r"(\d{2,}):([0-5]\d):([0-5]\d[.,]\d{3})", clock).groups()
    return int(hours) * 3_600_000 + int(minutes) * 60_000 + int(seconds.replace(",", "").replace(".", ""))


def as_cues(found):
    return sorted((*milliseconds(d), f"{one_line(d.label)} ({d.score:.4g})") for d in found)


def read_vtt(text: str) -> list[tuple[int, int, str]]:
    head, *blocks = text.rstrip("\n").split("\n\n")
    assert head == "WEBVTT"
    cues = []
    for block in blocks:
        timing, payload = block.split("\n")
        assert "-->" not in payload
        assert "<" not in payload
        start, end = timing.split(" --> ")
        assert "," not in timing
        cues.append((to_ms(start), to_ms(end), html.unescape(payload)))
    return cues


def read_srt(text: str) -> list[tuple[int, int, str]]:
    cues = []
    for number, block in enumerate(text.rstrip("\n").split("\n\n") if text else [], start=1):
        index, timing, payload = block.split("\n")
        assert int(index) == number
        start, end = timing.split(" --> ")
        assert "." not in timing
        cues.append((to_ms(start), to_ms(end), payload))
    return cues


def read_eaf(path) -> dict[str, list[tuple[int, int, str]]]:
    """Tiers of an EAF document, after checking what its schema asks: order of elements, required attributes, references."""
    document = ElementTree.parse(path).getroot()
    assert document.tag == "ANNOTATION_DOCUMENT"
    assert {"AUTHOR", "DATE", "VERSION"} <= set(document.attrib)
    assert document.get("FORMAT") == "3.0"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", document.get("DATE"))
    tags = [child.tag for child in document]
    order = ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE"]
    assert tags == sorted(tags, key=order.index)
    assert tags.count("HEADER") == tags.count("TIME_ORDER") == 1
    types = {t.get("LINGUISTIC_TYPE_ID") for t in document.iter("LINGUISTIC_TYPE")}
    slots = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE")) for slot in document.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(slots.values())
    ids = [a.get("ANNOTATION_ID") for a in document.iter("ALIGNABLE_ANNOTATION")] + list(slots)
    assert len(ids) == len(set(ids))
    tiers = {}
    for tier in document.iter("TIER"):
        assert tier.get("LINGUISTIC_TYPE_REF") in types
        assert tier.get("TIER_ID") not in tiers
        rows = []
        for annotation in tier:
            (aligned,) = annotation
            ends = (slots[aligned.get(f"TIME_SLOT_REF{i}")] for i in (1, 2))
            rows.append((*ends, aligned.findtext("ANNOTATION_VALUE")))
        tiers[tier.get("TIER_ID")] = rows
    return tiers


@given(found_lists)
@settings(deadline=None, derandomize=True)
def test_vtt_gives_back_what_went_in(tmp_path_factory, found):
    path = tmp_path_factory.getbasetemp() / "round.vtt"
    vtt.write(found, path)
    cues = read_vtt(path.read_text(encoding="utf-8"))
    assert cues == as_cues(found)
    assert all(start < end for start, end, _ in cues)


@given(found_lists)
@settings(deadline=None, derandomize=True)
def test_srt_gives_back_what_went_in(tmp_path_factory, found):
    path = tmp_path_factory.getbasetemp() / "round.srt"
    srt.write(found, path)
    assert read_srt(path.read_text(encoding="utf-8")) == as_cues(found)


@given(found_lists)
@settings(deadline=None, derandomize=True)
def test_eaf_gives_back_what_went_in_and_no_tier_overlaps(tmp_path_factory, found):
    path = tmp_path_factory.getbasetemp() / "round.eaf"
    eaf.write(found, path)
    tiers = read_eaf(path)
    rows = [(a, b, text, label_on_tier(text, tier, tiers)) for tier, spans in tiers.items() for a, b, text in spans]
    assert sorted((a, b, label) for a, b, _, label in rows) == sorted((*milliseconds(d), one_line(d.label)) for d in found)
    assert {text for *_, text, label in rows if text != label} <= {f"{d.score:.4g}" for d in found}
    for rows in tiers.values():
        assert all(before[1] <= after[0] for before, after in zip(rows, rows[1:], strict=False))
    assert {one_line(d.label) for d in found} <= set(tiers)


@given(st.dictionaries(st.sampled_from(["a", "=b", "-c", "@d", "'e", "＝f"]), found_lists))
@settings(deadline=None, derandomize=True)
def test_csv_is_in_order_of_video_and_time_and_no_cell_is_a_formula(tmp_path_factory, results):
    path = tmp_path_factory.getbasetemp() / "round.csv"
    csv.write(results, path)
    with open(path, encoding="utf-8", newline="") as stream:
        head, *rows = csv_reader.reader(stream)
    assert head == ["video", "start", "end", "label", "score", "clock"]
    for row in rows:
        assert row[0][0] not in "=+-@\t\r＝＋－＠"
        assert row[3][0] not in "=+-@\t\r＝＋－＠"
        assert all(re.fullmatch(r"\d+\.\d{3}", time) for time in row[1:3])
        hours, minutes, seconds = map(int, row[5].split(":"))
        assert hours * 3600 + minutes * 60 + seconds <= float(row[1]) + 0.0005 < hours * 3600 + minutes * 60 + seconds + 1.001
    back = [(unquote_cell(v), float(a), float(b), unquote_cell(label), float(s)) for v, a, b, label, s, _ in rows]
    assert [(v, a, b) for v, a, b, *_ in back] == sorted((v, a, b) for v, a, b, *_ in back)
    assert sorted(back) == sorted(
        (v, float(f"{d.start:.3f}"), float(f"{d.end:.3f}"), one_line(d.label), float(f"{d.score:.6g}"))
        for v, found in results.items()
        for d in found
    )


def test_a_player_can_read_the_exact_text(tmp_path):
    found = [Detection(3661.5, 3725.0625, "goal & <foul>", 0.875), Detection(0.25, 4.0, "kick", 12.0)]
    vtt.write(found, tmp_path / "a.vtt")
    assert (tmp_path / "a.vtt").read_text() == (
        "WEBVTT\n\n00:00:00.250 --> 00:00:04.000\nkick (12)\n\n01:01:01.500 --> 01:02:05.062\ngoal &amp; &lt;foul&gt; (0.875)\n"
    )
    srt.write(found, tmp_path / "a.srt")
    assert (tmp_path / "a.srt").read_text() == (
        "1\n00:00:00,250 --> 00:00:04,000\nkick (12)\n\n2\n01:01:01,500 --> 01:02:05,062\ngoal & <foul> (0.875)\n"
    )


def test_nothing_found_gives_valid_files(tmp_path):
    vtt.write([], tmp_path / "a.vtt")
    srt.write([], tmp_path / "a.srt")
    eaf.write([], tmp_path / "a.eaf")
    csv.write({"a": []}, tmp_path / "a.csv")
    assert read_vtt((tmp_path / "a.vtt").read_text()) == []
    assert read_srt((tmp_path / "a.srt").read_text()) == []
    assert read_eaf(tmp_path / "a.eaf") == {}
    assert (tmp_path / "a.csv").read_bytes() == b"video,start,end,label,score,clock\r\n"


def test_detections_of_one_label_that_overlap_share_no_tier(tmp_path):
    found = [
        Detection(0, 5, "goal", 0.9),
        Detection(4, 8, "goal", 0.8),
        Detection(5, 6, "goal", 0.7),
        Detection(0, 1, "goal (2)", 0.1),
    ]
    eaf.write(found, tmp_path / "a.eaf")
    tiers = read_eaf(tmp_path / "a.eaf")
    assert tiers["goal"] == [(0, 5000, "0.9"), (5000, 6000, "0.7")]
    assert tiers["goal (2)"] == [(0, 1000, "goal (2)")]  # by the tier's name alone it would be read as goal
    assert tiers["goal (3)"] == [(4000, 8000, "0.8")]


def test_a_detection_before_the_beginning_or_without_length_becomes_a_millisecond():
    assert milliseconds(Detection(-2.0, -1.0, "a", 1.0)) == (0, 1)
    assert milliseconds(Detection(1.0, 1.0, "a", 1.0)) == (1000, 1001)


def test_text_loses_what_xml_cannot_hold():
    assert one_line("a\x00b\n\nc\ufffe") == "a b c"
    assert one_line("\x07") == "unnamed"


def test_an_existing_file_stays_when_it_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(InputError, match=r"file/a\.vtt: cannot be written"):
        vtt.write([], tmp_path / "file" / "a.vtt")
    assert (tmp_path / "file").read_text() == "kept"

"""Each format against the library that its own users read it with."""

import csv as csv_reader
import warnings
from pathlib import Path

import av
import pytest

from untrimmed.data.types import Detection
from untrimmed.interchange.formats import FORMATS
from untrimmed.interchange.media import Known, Media

ITEMS = [Detection(1.2, 3.6, "goal", 0.91), Detection(2.4, 5.0, "goal", 0.5), Detection(10.0, 12.0, 'foul "x" & <y>', 0.25)]


@pytest.fixture
def media(tmp_path) -> Media:
    file = tmp_path / "videos" / "match 01.mp4"
    file.parent.mkdir()
    file.touch()
    return Media("match 01", file, 25.0, 20.0, ("foul", "goal"))


def write(name, media, path) -> Path:
    form = FORMATS[name]
    if form.all_videos:
        form.module.write({media.video: ITEMS}, path, Known(lambda video: media))
    else:
        form.module.write(ITEMS, path, media)
    return path


def test_elan_by_pympi(media, tmp_path):
    pympi = pytest.importorskip("pympi")
    eaf = pympi.Eaf(str(write("eaf", media, tmp_path / "match 01.eaf")))
    assert set(eaf.get_tier_names()) == {"goal", "goal (2)", 'foul "x" & <y>'}
    assert eaf.get_annotation_data_for_tier("goal") == [(1200, 3600, "0.91")]
    assert eaf.get_annotation_data_for_tier("goal (2)") == [(2400, 5000, "0.5")]
    (linked,) = eaf.get_linked_files()
    assert linked["MIME_TYPE"] == "video/mp4"
    assert linked["RELATIVE_MEDIA_URL"] == "./videos/match 01.mp4"
    assert linked["MEDIA_URL"].endswith("/videos/match%2001.mp4")
    eaf.add_annotation("goal", 7000, 8000, "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        eaf.to_file(str(tmp_path / "corrected.eaf"))
    marks = FORMATS["eaf"].module.read(tmp_path / "corrected.eaf", Known())
    assert [(s.start, s.end, s.label) for s in marks["match 01"].segments] == [
        (1.2, 3.6, "goal"),
        (2.4, 5.0, "goal"),
        (7.0, 8.0, "goal"),
        (10.0, 12.0, 'foul "x" & <y>'),
    ]


def test_textgrid_by_praatio(media, tmp_path):
    textgrid = pytest.importorskip("praatio.textgrid")
    path = write("textgrid", media, tmp_path / "match 01.TextGrid")
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False)
    assert grid.maxTimestamp == 20
    assert set(grid.tierNames) == {"goal", "goal (2)", 'foul "x" & <y>'}
    assert [tuple(entry) for entry in grid.getTier("goal").entries] == [(1.2, 3.6, "0.91")]
    for form in ("short_textgrid", "long_textgrid"):
        grid.save(str(tmp_path / "saved.TextGrid"), form, includeBlankSpaces=True)
        marks = FORMATS["textgrid"].module.read(tmp_path / "saved.TextGrid", Known())["saved"]
        assert [(s.start, s.label) for s in marks.segments] == [(1.2, "goal"), (2.4, "goal"), (10.0, 'foul "x" & <y>')], form


def test_otio_by_opentimelineio(media, tmp_path):
    otio = pytest.importorskip("opentimelineio")
    timeline = otio.adapters.read_from_file(str(write("otio", media, tmp_path / "cuts.otio")))
    clips = list(timeline.find_clips())
    assert [clip.name for clip in clips] == ["goal", "goal", 'foul "x" & <y>']
    ranges = [clip.source_range for clip in clips]
    assert [(r.start_time.to_seconds(), r.duration.to_seconds()) for r in ranges] == [(1.2, 2.4), (2.4, 2.6), (10.0, 2.0)]
    assert clips[0].media_reference.target_url.endswith("/videos/match%2001.mp4")
    assert clips[0].available_range().duration.to_seconds() == 20
    assert timeline.duration().to_seconds() == 7.0
    assert clips[0].metadata["untrimmed"]["score"] == 0.91
    otio.adapters.write_to_file(timeline, str(tmp_path / "saved.otio"))
    marks = FORMATS["otio"].module.read(tmp_path / "saved.otio", Known())
    assert [(s.start, s.end) for s in marks["match 01"].segments] == [(1.2, 3.6), (2.4, 5.0), (10.0, 12.0)]


def test_edl_by_opentimelineio(media, tmp_path):
    otio = pytest.importorskip("opentimelineio")
    pytest.importorskip("otio_cmx3600_adapter")
    path = write("edl", media, tmp_path / "cuts.edl")
    timeline = otio.adapters.read_from_file(str(path), rate=25)
    clips = list(timeline.find_clips())
    assert [clip.name for clip in clips] == ["match 01.mp4"] * 3
    ranges = [clip.source_range for clip in clips]
    assert [(r.start_time.to_seconds(), r.duration.to_seconds()) for r in ranges] == [(1.2, 2.4), (2.4, 2.6), (10.0, 2.0)]
    assert [clip.markers[0].name for clip in clips] == ["goal (0.91)", "goal (0.5)", 'foul "x" & <y> (0.25)']


def test_subtitles_by_their_libraries(media, tmp_path):
    webvtt = pytest.importorskip("webvtt")
    srt = pytest.importorskip("srt")
    found = webvtt.read(str(write("vtt", media, tmp_path / "a.vtt")))
    assert (found[0].start, found[0].end) == ("00:00:01.200", "00:00:03.600")
    found = list(srt.parse(write("srt", media, tmp_path / "a.srt").read_text()))
    assert [(cue.start.total_seconds(), cue.content) for cue in found][1] == (2.4, "goal (0.5)")


def test_losslesscut_by_json5(media, tmp_path):
    json5 = pytest.importorskip("json5")
    path = write("llc", media, tmp_path / "match 01-proj.llc")
    project = json5.loads(path.read_text())
    assert project["version"] == 1
    assert project["mediaFileName"] == "match 01.mp4"
    assert project["cutSegments"][0] == {"start": 1.2, "end": 3.6, "name": "goal", "tags": {"score": "0.91"}}
    segments = "    {start: 1.5, end: 2, name: 'goal',},\n    {name: 'x', start: 3}\n"
    saved = f"{{\n  version: 2,\n  mediaFileName: 'it\\'s.mp4',\n  cutSegments: [\n{segments}  ],\n}}\n"
    (tmp_path / "b.llc").write_text(saved)
    marks = FORMATS["llc"].module.read(tmp_path / "b.llc", Known(lambda video: Media(video, None, None, 9.0)))
    assert [(s.start, s.end, s.label) for s in marks["it's"].segments] == [(1.5, 2, "goal"), (3, 9, "x")]


def test_chapters_by_ffmpeg(media, tmp_path):
    with av.open(str(write("chapters", media, tmp_path / "a.ffmetadata")), format="ffmetadata") as container:
        chapters = container.chapters()
    assert [chapter["metadata"]["title"] for chapter in chapters] == ["goal (0.91)", "goal (0.5)", 'foul "x" & <y> (0.25)']
    assert [float(chapter["start"] * chapter["time_base"]) for chapter in chapters] == [1.2, 2.4, 10.0]


def test_tables_have_the_columns_of_the_programs_that_read_them(media, tmp_path):
    """SimBA, ethome and DeepEthogram cannot be installed beside this program; what they look for in a file is checked instead."""
    rows = list(csv_reader.DictReader(write("boris-tabular", media, tmp_path / "t.csv").open()))
    assert {"Time", "Media file name", "Behavior", "Behavior type"} <= set(rows[0])  # SimBA's
    assert [(row["Time"], row["Behavior"], row["Behavior type"]) for row in rows[:2]] == [
        ("1.200", "goal", "START"),
        ("5.000", "goal", "STOP"),
    ]
    rows = list(csv_reader.DictReader(write("boris-aggregated", media, tmp_path / "a.csv").open()))
    assert [rows[0][name] for name in ("Behavior", "Start (s)", "Stop (s)", "Image index start")] == [
        "goal",
        "1.200",
        "3.600",
        "30",
    ]
    rows = list(csv_reader.reader(write("frames", media, tmp_path / "f_labels.csv").open()))
    assert rows[0] == ["time", "background", "foul", 'foul "x" & <y>', "goal"]
    assert len(rows) == 501  # 20 s at 25 frames a second
    assert [row[-1] for row in rows[1:]].index("1") == 30
    assert all(sum(map(int, row[1:])) >= 1 for row in rows[1:])

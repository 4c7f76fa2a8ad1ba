"""Whatever detections hold, each format is written, and what was written is read or refused in one line."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untrimmed.data.errors import InputError
from untrimmed.data.types import Detection
from untrimmed.interchange.formats import FORMATS
from untrimmed.interchange.media import Known, Media

times = st.floats(-1e9, 1e9)
labels = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(str.strip)
scores = st.floats(allow_nan=False, allow_infinity=False)
items = st.builds(lambda a, b, label, score: Detection(min(a, b), max(a, b), label, score), times, times, labels, scores)


@pytest.mark.parametrize("name", FORMATS)
def test_any_detections(tmp_path_factory, name):
    form, folder = FORMATS[name], tmp_path_factory.mktemp("any")

    @given(st.lists(items, max_size=4))
    @settings(deadline=None, derandomize=True, max_examples=25)
    def check(found):
        known = Known(lambda video: Media(video, None, 29.97, 20.0), None, (), False)
        path = folder / f"v{form.ending}"
        refused = ""
        try:
            form.module.write({"v": found} if form.all_videos else found, path, known if form.all_videos else known.of("v"))
        except InputError as error:
            said = str(error)
            refused = name
        else:
            said = _read(form, path, known)
        assert refused in ("", "frames")  # which has columns of its own
        assert "\n" not in said

    check()


def _read(form, path, known) -> str:
    try:
        form.module.read(path, known)
    except InputError as error:
        return str(error)
    return ""

"""`untrimmed evaluate --diagnose`: what is wrong with detections, as figures and pictures."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from untrimmed.console import note
from untrimmed.data.annotations import VideoTruth
from untrimmed.data.files import write_json
from untrimmed.data.types import Results
from untrimmed.evaluation.diagnosis import Diagnosis, diagnose
from untrimmed.reporting.diagnosis import draw_diagnosis


def diagnose_into(
    out: str | Path, truth: Mapping[str, VideoTruth], results: Results, classes: Iterable[str], tious: Sequence[float]
) -> Diagnosis:
    """Write `diagnosis.json` and three pictures into the folder `out`; arguments of `evaluation.diagnosis.diagnose`.

    Raises:
        InputError: as `diagnose` does, or `out` cannot be written to.
    """
    out = Path(out)
    found = diagnose(truth, results, classes, tious)
    content = found.to_json()
    pictures = draw_diagnosis(content, out)
    write_json(out / "diagnosis.json", content, indent=1)
    note(f"{out}: diagnosis.json, {', '.join(path.name for path in pictures)}")
    return found

"""A run is a thing: a folder that knows its settings, its model, and which features it can be asked about."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from untrimmed.console import shortened
from untrimmed.data.errors import InputError
from untrimmed.data.files import check_shape, read_json
from untrimmed.data.run_files import RunFiles
from untrimmed.data.settings import check_streams, merge, renamed
from untrimmed.data.store import FeatureStore, Header, without_places
from untrimmed.data.yaml_files import read_yaml, write_yaml
from untrimmed.methods.base import SECTIONS, Method, Preset, load_method, settings_from

RECORD = {
    "selection?": (str, None),
    "classes?": ([str], None),
    "training_videos?": [str],
    "data?": ({"features?": (str, None), "labels?": (str, None), "trimmed?": (str, None), "trimmed_labels?": (str, None)}, None),
    "extractor?": ({"name": str, "settings": dict, "window_seconds": float, "stride_seconds": float}, None),
}
"""What is read of environment.json."""


class RunFolder(RunFiles):
    """The folder of a trained run. Everything is read when it is asked for, and a damaged file is an InputError."""

    def method(self) -> Method:
        """The trained model, on the CPU and in evaluation mode.

        Raises:
            InputError: the training has not ended, or the model is damaged.
        """
        return load_method(self.model)

    def settings(self, method: Method, overrides: Mapping[str, Any] | None = None) -> Preset:
        """The run's settings, with `overrides` (by section) laid on top.

        Raises:
            InputError: config.yaml cannot be read, or a setting is unknown or out of range.
        """
        check_streams((overrides or {}).get("localization", {}), method.widths, "localization")
        return settings_from(type(method), merge(self.sections(), overrides or {}))

    def sections(self) -> dict[str, Any]:
        """The three sections of config.yaml: method, localization, data."""
        sections = {section: self._configured(section) for section in SECTIONS}
        for section, settings in sections.items():
            check_shape(settings, dict, f"{self.config}: {section}")
        return sections

    def preset(self) -> str:
        """The preset that the run's settings were laid over."""
        return str(self._configured("preset"))

    def _configured(self, key: str) -> Any:
        content = read_yaml(self.config)
        if not isinstance(content, dict) or key not in content:
            raise InputError(f"{self.config}: not as a run writes it; it lacks {key!r}")
        return content[key]

    def update_names(self, config: type) -> None:
        """Write config.yaml with today's names of the method's settings (the dataclass `config`), so that a run begun by an
        earlier version can be resumed. A damaged file is left to `Run`, which says what to do about it."""
        try:
            sections = self.sections()
        except InputError:
            return
        if (method := renamed(config, sections["method"])) != sections["method"]:
            write_yaml(self.config, read_yaml(self.config) | {"method": method})

    def record(self) -> dict[str, Any]:
        """What environment.json says of the training: versions, seed, data, selection rule, training videos.

        Raises:
            InputError: it cannot be read, or holds no object.
        """
        content = read_json(self.environment)
        check_shape(content, RECORD, str(self.environment))
        return content

    def labels(self) -> str | None:
        """The labels.csv that the run learned from; None for an unlabelled run.

        Raises:
            InputError: it is not where it was.
        """
        labels = (self.record().get("data") or {}).get("labels")
        if labels is not None and not Path(labels).is_file():
            raise InputError(f"{self.path}: learned from {labels}, which is not there; name the file: `labels`")
        return labels

    def extractor(self) -> dict[str, Any]:
        """How the features that the run was trained on were made.

        Raises:
            InputError: the run did not record it.
        """
        made = self.record().get("extractor")
        if not isinstance(made, dict) or not {"name", "settings", "window_seconds", "stride_seconds"} <= made.keys():
            raise InputError(f"{self.environment}: does not say how the features were made (extractor); train the run again")
        return made

    def check_features(self, store: FeatureStore, widths: Mapping[str, int]) -> None:
        """See that a store's features are those that the run can be asked about.

        Raises:
            InputError: extractor, settings, weights, timing or streams differ; the differences are named.
        """
        self.check_header(store.header, widths, f"{store.path}: the features differ from those that {self.path} was trained on")

    def check_header(self, header: Header, widths: Mapping[str, int], said: str) -> None:
        """The same of a header; `said` begins the message."""
        made = self.extractor()
        now_header = {
            "extractor": header.extractor,
            "window_seconds": header.window_seconds,
            "stride_seconds": header.stride_seconds,
        }
        then_header = {
            "extractor": made["name"],
            "window_seconds": made["window_seconds"],
            "stride_seconds": made["stride_seconds"],
        }
        pairs = list(_unequal(then_header | {"streams": dict(widths)}, now_header | {"streams": header.streams}))
        if not pairs:
            hashes = {"weights_sha256": made.get("weights_sha256")}, {"weights_sha256": header.weights_sha256}
            known = all(of["weights_sha256"] for of in hashes)  # then it does not matter where the weights lay
            then, now = (without_places(of) if known else of for of in (made["settings"], header.settings))
            pairs = list(_unequal(then | hashes[0], now | hashes[1]))
        if pairs:
            raise InputError(f"{said} ({'; '.join(pairs)})")


def _unequal(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for key in {**then, **now}:
        if then.get(key) != now.get(key):
            yield f"{key}: {shortened(then.get(key), 30)} then, {shortened(now.get(key), 30)} now"

"""Two trained methods as one: where to look from the first, what it is from the second (the swap study of DGAM)."""

from typing import Any

from untrimmed.data.errors import InputError
from untrimmed.methods.base import Method, SnippetScores


class Swapped(Method):
    """Two trained models as one: where to look from the first, what it is from the second."""

    name = "swapped"

    def __init__(self, attention: Method, classification: Method) -> None:
        if attention.classes != classification.classes or attention.widths != classification.widths:
            raise InputError("the two runs of a swap know different classes or streams")
        super().__init__(classification.config, classification.classes, classification.widths)
        self.attention, self.classification = attention, classification
        self.attention_kind = classification.attention_kind  # type: ignore[misc]
        reaches = [attention.reach, classification.reach]
        self.reach = None if None in reaches else max(reach for reach in reaches if reach is not None)  # type: ignore[misc]

    def fit(self, data: Any, run: Any) -> None:
        raise TypeError("a swap is made of trained models")

    def curves(self, features: Any) -> dict[str, SnippetScores]:
        looked, named = self.attention.curves(features), self.classification.curves(features)
        for stream in named:
            if looked[stream].attention_logit is None or named[stream].attention_logit is None:
                raise InputError("a swap needs two methods with an attention")
        return {stream: SnippetScores(looked[stream].attention_logit, named[stream].class_logit) for stream in named}

    def pool(self, features: Any, curves: Any) -> Any:
        return self.classification.pool(features, curves)

"""From activations to segments. No torch here: stored activations are cut again without the model.

`curves.py` makes one curve per stream, kept class and fine time step; `proposals.py` cuts it into scored runs; `nms.py` drops
what overlaps; `localize.py` is the way through, and holds the settings.
"""

from untrimmed.localization.localize import Localization, kept_classes, localize

__all__ = ["Localization", "kept_classes", "localize"]

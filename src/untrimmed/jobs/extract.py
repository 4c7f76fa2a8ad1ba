"""`untrimmed extract`: videos to a feature store."""

from untrimmed.video.extraction import NETWORKS, ExtractReport, extract

__all__ = ["NETWORKS", "ExtractReport", "extract"]

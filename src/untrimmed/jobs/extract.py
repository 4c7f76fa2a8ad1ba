"""`untrimmed extract`: videos to a feature store."""

from untrimmed.video.extraction import ExtractReport, extract

__all__ = ["ExtractReport", "extract"]

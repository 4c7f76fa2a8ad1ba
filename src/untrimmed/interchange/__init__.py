"""Detections in other programs' formats: spreadsheets, subtitles, annotation tools."""

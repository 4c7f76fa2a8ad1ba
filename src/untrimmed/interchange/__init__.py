"""Detections for other programs."""

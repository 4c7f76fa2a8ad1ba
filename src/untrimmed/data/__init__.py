"""What every other part of the program speaks of: videos, time, labels, features, truth and detections. No torch here."""

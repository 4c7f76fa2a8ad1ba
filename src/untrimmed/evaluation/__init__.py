"""How good detections are. No torch here."""

"""Find what happens when in long videos."""

"""A run is a thing: its folder, what it learns from, how it is fitted, what it says of videos, and how good that is."""

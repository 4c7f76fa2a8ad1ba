"""Comparing methods: an experiment file, its trainings and scorings, and what their differences are worth."""

"""One file per verb: the functions that the command line and notebooks call."""

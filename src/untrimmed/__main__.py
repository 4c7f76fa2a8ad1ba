"""`python -m untrimmed`."""

from untrimmed.cli import main

main()

"""``python -m emulator``: the command line."""

from .cli import main

main()

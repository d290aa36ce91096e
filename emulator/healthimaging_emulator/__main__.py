"""``python -m healthimaging_emulator``: the command line."""

from healthimaging_emulator.cli import main

main()

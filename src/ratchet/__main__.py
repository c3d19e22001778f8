"""``python -m ratchet`` is ``ratchet``."""

from ratchet.cli.main import main

main()

"""Ratchet's server without its prediction log: what the log costs is the difference."""

import sys

from ratchet.cli.main import main
from ratchet.serving.recording import Recorder


async def keep(self, payloads, rows):
    return None


if __name__ == "__main__":
    Recorder.payloads = lambda self, *_: []
    Recorder.keep = keep
    Recorder.keep_at_once = lambda self, *_: None
    project, port = sys.argv[1:]
    sys.argv = ["ratchet", "serve", "--project", project, "--port", port]
    main()

"""The program's first lines: `local-voice` and `python -m local_voice`."""

from __future__ import annotations

import os
import signal


def main() -> int:
    """Load the command line and run it; its exit code.

    Loading takes half a second, in which Ctrl-C would show the insides of some library: it ends the program
    at once instead. Where Ctrl-C is switched off (a job in a script's background), it stays off.
    """
    usual = signal.getsignal(signal.SIGINT)
    if usual is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))
    from local_voice import cli

    signal.signal(signal.SIGINT, usual)
    return cli.main()


if __name__ == "__main__":
    raise SystemExit(main())

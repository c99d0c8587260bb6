"""`python -m local_voice` is `local-voice`."""

from local_voice.cli import main

if __name__ == "__main__":
    raise SystemExit(main())

"""local-voice: a voice assistant that hears, thinks and speaks on one machine.

The walk of a chunk of sound: a transport (`transports/`) brings it from the microphone or the browser;
`session.py` carries it to Silero VAD (`engines/silero_vad.py`), whose probabilities `endpointing.py` turns
into speech and pauses for `conversation.py`, which decides everything. While the user speaks and at each
pause the sound goes to Whisper (`engines/whisper.py`); at a pause Smart Turn (`engines/smart_turn.py`)
says whether that was all, and a reply is drafted: the language model (`engines/vllm_engine.py`) writes,
`speakable.py` cuts clauses, Piper (`engines/piper.py`) speaks them into `playout.py`, which holds the sound
until the conversation releases it, and which knows what was heard of it.
"""

__version__ = "0.1.0"

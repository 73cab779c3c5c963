"""Aelara: an interactive chat with a run's model.

``app`` draws and takes keys, ``session`` holds the conversation, ``history`` stores it, and ``speaker`` is the link to
the model, which runs in its own process (``serving``): nothing it imports or computes can delay a key.
"""

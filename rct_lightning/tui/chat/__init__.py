"""Aelara: a chat with a run's model that a person keeps open.

``app`` draws and takes keys, ``session`` knows what was said, ``history`` keeps it, and ``speaker`` is the way to the
model, which lives in a process of its own (``serving``): nothing it imports or computes can hold up a key.
"""

"""Relational Coherence Training: align a small language model by presence, coherence and continuity."""

__version__ = "0.1.0"

"""Export a run's adapter, or the base merged with it, as a folder that plain transformers and peft load."""

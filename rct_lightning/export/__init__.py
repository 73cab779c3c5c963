"""A run's adapter, or the model it makes with its base, as a folder that plain transformers and peft load."""

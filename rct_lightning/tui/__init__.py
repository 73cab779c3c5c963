"""Terminal user interfaces: the monitor of a run and the chat with its model."""

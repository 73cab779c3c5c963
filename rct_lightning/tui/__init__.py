"""What a person keeps open in a terminal: the monitor of a run and the chat with its model."""

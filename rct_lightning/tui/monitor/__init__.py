"""``rct monitor``: what a run's files say about it, live during training or afterwards.

``follow`` reads what is appended, ``state`` folds it into what is shown, ``verdict`` says whether the run is alive,
``view`` combines these with the files next to the events; ``plain`` and ``summary`` are text, ``app`` is the Textual
application.
"""

"""``rct monitor``: what a run says of itself in its files, live while it trains or after.

``follow`` reads what is appended, ``state`` folds it into what is shown, ``verdict`` says whether the run is alive,
``view`` puts these together with the files beside the events; ``plain`` and ``summary`` are text, ``app`` is the
Textual application.
"""

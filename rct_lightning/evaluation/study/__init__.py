"""Compare several runs: each arm against the others, paired by seed and by item, and what follows from it."""

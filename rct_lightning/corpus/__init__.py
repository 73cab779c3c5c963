"""Work on corpora before any model sees them: import, clean, split, measure, audit. This package imports no torch."""

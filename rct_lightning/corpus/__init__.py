"""Work on corpora before any model sees them: measure, compare, audit. No torch in this room."""

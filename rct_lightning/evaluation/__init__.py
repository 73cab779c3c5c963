"""Evaluation of base against tuned on held-out rows and probes: endpoints, intervals, a report."""

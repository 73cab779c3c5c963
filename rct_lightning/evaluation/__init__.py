"""Base against tuned on held-out rows and probes: endpoints, honest intervals, a report."""

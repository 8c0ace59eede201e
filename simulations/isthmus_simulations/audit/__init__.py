"""The audit of a run's privacy claim: what canaries give away, next to what was promised."""

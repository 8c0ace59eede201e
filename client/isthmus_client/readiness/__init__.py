"""Whether a platform's data is fit to train on: counts, findings, and a verdict."""

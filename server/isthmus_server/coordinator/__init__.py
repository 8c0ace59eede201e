"""Drives runs round by round; all that it knows is in the state and in checkpoints."""

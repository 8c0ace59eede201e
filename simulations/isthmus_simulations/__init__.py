"""Local simulation mode: the same federation on one machine, next to honest baselines."""

"""Two ways to run the same Flower apps on one machine: in this process, or on Ray."""

"""A whole federation on one machine: a server and three platforms as real processes."""

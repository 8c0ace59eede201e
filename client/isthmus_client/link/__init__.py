"""What of a platform talks to the federation's server: no data, no training, no keys of the store."""

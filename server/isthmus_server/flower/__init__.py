"""The only part of the server that knows Flower."""

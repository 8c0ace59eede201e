"""The client: runs at a platform and owns its events, its private heads and the only door out."""

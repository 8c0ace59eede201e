"""The one warm process that holds a platform's data and trains on it; it has no network."""

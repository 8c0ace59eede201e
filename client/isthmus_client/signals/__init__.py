"""What a platform knows about a user and an item, as comparable numbers: the ranker's input."""

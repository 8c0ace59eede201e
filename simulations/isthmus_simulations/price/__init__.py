"""The price of privacy: what differential privacy takes from the encoder's quality, and buys."""

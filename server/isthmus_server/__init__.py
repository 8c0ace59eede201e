"""The server: coordinates rounds over shared parameters and never sees an event."""

"""What server and platform say to each other besides the rounds: joining, sessions, releases."""

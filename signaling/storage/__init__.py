"""What outlives a call: rooms, participants and tracks in a database."""

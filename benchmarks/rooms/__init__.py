"""Rooms of publishers and subscribers on a real server; an engine carries the media."""

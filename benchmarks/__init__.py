"""Benchmarks of the media path, and the client that loads and tests a server."""

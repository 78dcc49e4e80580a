"""Tests of the servers that `compare` puts side by side."""

"""Tests of the benchmarks and of the load client."""

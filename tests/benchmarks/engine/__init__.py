"""Tests of the load generator's compiled loop, against libsrtp."""

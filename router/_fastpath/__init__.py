"""The compiled data plane: per-packet work on threads that hold no GIL."""

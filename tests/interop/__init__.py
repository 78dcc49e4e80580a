"""Parlour against other implementations, and against clients as they are in the field."""

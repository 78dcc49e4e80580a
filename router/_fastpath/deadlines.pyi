"""Deadlines of a fixed number of owners."""

def exercise_deadlines(owners: int, operations: list[tuple[int, int | None]]) -> list[int | None]:
    """Set (or, with None, remove) deadlines; return the earliest after each step. For tests."""

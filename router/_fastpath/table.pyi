"""The plane's hash table."""

def exercise_table(operations: list[tuple[str, int, int]], capacity: int) -> list[int | None]:
    """Run put, find and remove operations on a new table; return what each gave. For tests."""

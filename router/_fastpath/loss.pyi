"""The packets that an inbound stream misses."""

def exercise_losses(
    operations: list[tuple[str, int, int, int]],
) -> tuple[list[list[int]], int, int, int]:
    """
    Run ("gap", first, last, now_us), ("arrival", ext_seq, 0, now_us) and ("due", 0, 0, now_us).

    Return the sequence numbers of each "due", and how many are missing, recovered and given up.
    For tests.
    """

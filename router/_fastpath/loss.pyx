"""The loss list; the contract is in ``loss.pxd``."""

from libc.string cimport memmove

from router._fastpath.deadlines cimport NEVER_US


cdef void loss_init(loss_list *losses) noexcept nogil:
    losses.count = 0
    losses.next_at_us = NEVER_US
    losses.response_us = LOSS_FIRST_RESPONSE_US
    losses.response_known = False
    losses.recovered = 0
    losses.given_up = 0


cdef void _forget_first(loss_list *losses, int number) noexcept nogil:
    losses.given_up += number
    losses.count -= number
    memmove(
        &losses.packets[0], &losses.packets[number],
        <size_t>losses.count * sizeof(lost_packet),
    )


cdef int loss_note_gap(
    loss_list *losses, int64_t first, int64_t last, int64_t now_us
) noexcept nogil:
    cdef int64_t number = last - first + 1
    cdef int64_t ext_seq
    cdef lost_packet *lost
    if number > LOSS_CAPACITY:
        losses.given_up += losses.count
        losses.count = 0
        losses.next_at_us = NEVER_US
        return -1
    if losses.count + number > LOSS_CAPACITY:
        _forget_first(losses, losses.count + <int>number - LOSS_CAPACITY)
    for ext_seq in range(first, last + 1):
        lost = &losses.packets[losses.count]
        losses.count += 1
        lost.ext_seq = ext_seq
        lost.since_us = now_us
        lost.asked_at_us = 0
        lost.next_at_us = now_us + LOSS_REORDER_WAIT_US
        lost.requests = 0
    if losses.next_at_us > now_us + LOSS_REORDER_WAIT_US:
        losses.next_at_us = now_us + LOSS_REORDER_WAIT_US
    return 0


cdef bint loss_note_arrival(
    loss_list *losses, int64_t ext_seq, int64_t now_us
) noexcept nogil:
    cdef int low = 0
    cdef int high = losses.count
    cdef int middle
    cdef lost_packet *lost
    while low < high:
        middle = (low + high) // 2
        if losses.packets[middle].ext_seq < ext_seq:
            low = middle + 1
        else:
            high = middle
    if low == losses.count or losses.packets[low].ext_seq != ext_seq:
        return False
    lost = &losses.packets[low]
    if lost.requests == 1:
        # Karn's rule: only an answer to a single request tells how long answers take.
        # The first such answer replaces the guess, as in RFC 6298 section 2.2.
        if losses.response_known:
            losses.response_us += (now_us - lost.asked_at_us - losses.response_us) // 8
        else:
            losses.response_us = now_us - lost.asked_at_us
            losses.response_known = True
    if lost.requests:
        losses.recovered += 1
    losses.count -= 1
    memmove(lost, lost + 1, <size_t>(losses.count - low) * sizeof(lost_packet))
    if losses.count == 0:
        losses.next_at_us = NEVER_US
    return True


cdef int loss_due(
    loss_list *losses, uint16_t *out, int capacity, int64_t now_us
) noexcept nogil:
    cdef int64_t repeat_us = losses.response_us + losses.response_us // 4
    cdef int64_t next_at_us = NEVER_US
    cdef int kept = 0
    cdef int number = 0
    cdef int i
    cdef lost_packet *lost
    if repeat_us < LOSS_MIN_REPEAT_US:
        repeat_us = LOSS_MIN_REPEAT_US
    for i in range(losses.count):
        lost = &losses.packets[i]
        if now_us - lost.since_us > LOSS_MAX_AGE_US or (
            lost.requests >= LOSS_MAX_REQUESTS and now_us >= lost.next_at_us
        ):
            losses.given_up += 1
            continue
        if now_us >= lost.next_at_us and number < capacity:
            out[number] = <uint16_t>lost.ext_seq
            number += 1
            lost.requests += 1
            lost.asked_at_us = now_us
            lost.next_at_us = now_us + repeat_us
        if lost.next_at_us < next_at_us:
            next_at_us = lost.next_at_us
        losses.packets[kept] = lost[0]
        kept += 1
    losses.count = kept
    losses.next_at_us = next_at_us
    return number


def exercise_losses(
    operations: list[tuple[str, int, int, int]]
) -> tuple[list[list[int]], int, int, int]:
    """
    Run ("gap", first, last, now_us), ("arrival", ext_seq, 0, now_us) and ("due", 0, 0, now_us).

    Return the sequence numbers of each "due", and how many are missing, recovered and given up.
    For tests.
    """
    cdef loss_list losses
    cdef uint16_t out[LOSS_CAPACITY]
    cdef int number
    cdef int i
    loss_init(&losses)
    results = []
    for operation, first, last, now_us in operations:
        if operation == "gap":
            loss_note_gap(&losses, first, last, now_us)
        elif operation == "arrival":
            loss_note_arrival(&losses, first, now_us)
        else:
            number = loss_due(&losses, out, LOSS_CAPACITY, now_us)
            results.append([out[i] for i in range(number)])
    return results, losses.count, losses.recovered, losses.given_up

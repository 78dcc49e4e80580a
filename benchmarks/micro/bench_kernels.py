"""How many nanoseconds does each SRTP kernel need to seal or open one packet?"""

from collections.abc import Iterator

from router._fastpath import measure, srtp

from .figures import Case

SESSIONS = 100
FRAME = 8
LENGTHS = (1200, 160)
PROFILES = {7: ("GCM", ("gcm",)), 1: ("CM", ("ctr", "sha1"))}
ROUNDS = {"portable": 600}
DEFAULT_ROUNDS = 50000


def kernel_choices(operations: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Yield the kernels of a profile: what the plane uses here, then one step down at a time."""
    yield {}
    available = srtp.available_kernels()
    depth = max(len(available[operation]) for operation in operations)
    seen: set[tuple[str, ...]] = set()
    for step in range(1, depth):
        chosen = {
            operation: available[operation][min(step, len(available[operation]) - 1)]
            for operation in operations
        }
        if tuple(chosen.values()) not in seen:
            seen.add(tuple(chosen.values()))
            yield chosen


def cases() -> Iterator[Case]:
    """Yield one case per profile, kernel, direction and length."""
    for profile, (title, operations) in PROFILES.items():
        for chosen in kernel_choices(operations):
            srtp.set_kernels(**chosen)
            in_use = srtp.kernels()
            label = ", ".join(in_use[operation] for operation in operations)
            rounds = min(ROUNDS.get(in_use[name], DEFAULT_ROUNDS) for name in operations)
            for length in LENGTHS:

                def seal(
                    profile: int = profile,
                    length: int = length,
                    rounds: int = rounds,
                    chosen: dict[str, str] = chosen,
                ) -> float:
                    srtp.set_kernels(**chosen)
                    return measure.seal(
                        profile, length=length, sessions=SESSIONS, frame=FRAME, rounds=rounds
                    )

                def unseal(
                    profile: int = profile,
                    length: int = length,
                    rounds: int = rounds,
                    chosen: dict[str, str] = chosen,
                ) -> float:
                    srtp.set_kernels(**chosen)
                    return measure.unseal(profile, length=length, sessions=SESSIONS, rounds=rounds)

                yield Case(f"seal {title} {label} {length} B", seal)
                yield Case(f"open {title} {label} {length} B", unseal)

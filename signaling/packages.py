"""Whether the import names ``router`` and ``signaling`` are ours."""

from importlib.metadata import packages_distributions

from signaling.errors import ConfigError

DISTRIBUTION = "parlour"
IMPORT_NAMES = ("router", "signaling")


def owners() -> dict[str, tuple[str, ...]]:
    """Return the distributions that own each of our import names."""
    installed = packages_distributions()
    return {name: tuple(sorted(set(installed.get(name, ())))) for name in IMPORT_NAMES}


def refuse_foreign_owners() -> None:
    """
    Make sure that no other distribution owns our import names.

    :raises ConfigError: naming each that does; its modules would be mixed with ours.
    """
    foreign = [
        f"{name} belongs to {', '.join(others)}"
        for name, found in owners().items()
        if (others := [owner for owner in found if owner.lower() != DISTRIBUTION])
    ]
    if foreign:
        raise ConfigError(
            f"another distribution owns an import name of Parlour: {'; '.join(foreign)}. "
            "Install Parlour in a virtual environment of its own."
        )

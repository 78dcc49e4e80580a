"""The parts of the scenario ``fanout``."""

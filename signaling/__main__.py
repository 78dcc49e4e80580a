"""``python -m signaling`` is the ``parlour`` command."""

from signaling.cli import main

if __name__ == "__main__":
    main()

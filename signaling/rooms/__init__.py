"""The room model: a pure core of commands in and domain events out."""

"""Parlour's signaling and Rooms API: REST, RSP and WHIP views over one room model."""

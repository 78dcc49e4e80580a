"""Wire formats of the SCTP chunks and their parameters."""

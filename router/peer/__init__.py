"""One peer connection of a forwarding server: SDP, DTLS, data channels and plane commands."""

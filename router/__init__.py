"""Parlour's media router: ICE, DTLS, SRTP, SCTP and SDP cores in front of a compiled data plane."""

"""
A client of the server for tests and load: everything that a browser does, without pictures.

``core`` is the connection without I/O, ``peer`` puts it on a socket, ``rsp`` and ``whip`` let it
join a room.
"""

from .core import ClientConfig, ClientCore
from .peer import Peer, PeerFailed, make_certificate
from .rsp import RspClient, SignalingFailed
from .synthetic import AudioSettings, OpusEncoder, VideoSettings, Vp8Encoder
from .whip import WhipFailed, WhipSession

__all__ = [
    "AudioSettings",
    "ClientConfig",
    "ClientCore",
    "OpusEncoder",
    "Peer",
    "PeerFailed",
    "RspClient",
    "SignalingFailed",
    "VideoSettings",
    "Vp8Encoder",
    "WhipFailed",
    "WhipSession",
    "make_certificate",
]

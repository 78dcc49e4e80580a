"""``.../Media``: where the file of a recording or composition is to be had."""

from signaling.errors import ApiError, ErrorCode
from signaling.rest.call import Call
from signaling.rest.handlers import not_found

TTL_DEFAULT = 600
TTL_MAX = 3600


def refuse_media(call: Call) -> ApiError:
    """
    Return the refusal of a request for media: no file exists, whatever the resource says.

    :raises ApiError: 20001 when ``Ttl`` or ``ContentDisposition`` cannot be.
    """
    call.given.integer("Ttl", TTL_DEFAULT, least=1, most=TTL_MAX)
    disposition = call.given.text("ContentDisposition")
    # It would become a header.
    if disposition is not None and not disposition.isprintable():
        raise ApiError.of(ErrorCode.INVALID_PARAMETER, "ContentDisposition has invalid characters")
    return not_found(call.resource)

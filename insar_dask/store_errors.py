"""What a failing bucket means to people: the cause in a few words, and the cure.

Never what the server wrote back, which may name an access key.
"""

from __future__ import annotations

import re

__all__ = ["StoreError", "TransientStoreError", "meaning_of"]


class StoreError(OSError):
    """A bucket refuses: asked again it will say the same."""


class TransientStoreError(StoreError):
    """A bucket is busy, slow or out of reach; all retries of a request were in vain, and later it may do."""


CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, on this machine and on the workers"

CURES = {
    "NoSuchBucket": ("there is no such bucket", "create it, or correct the address, the region and the endpoint"),
    "InvalidAccessKeyId": ("the access key is not known there", CREDENTIALS),
    "SignatureDoesNotMatch": ("the secret key does not fit the access key", CREDENTIALS),
    "ExpiredToken": ("the credentials have expired", f"renew them; {CREDENTIALS}"),
    "InvalidToken": ("the session token is not valid", CREDENTIALS),
    "RequestTimeTooSkewed": ("the clock of this machine is wrong", "set it"),
    "PermanentRedirect": ("the bucket is in another region", "name its region: ?region=..., or AWS_REGION"),
    "AuthorizationHeaderMalformed": ("the region is wrong", "name the bucket's region: ?region=..., or AWS_REGION"),
    "PreconditionFailed": ("it was replaced while it was read", "run again when it is no longer written to"),
    "QuotaExceeded": ("the quota is used up", "make room and run again: the shards that are done stay done"),
    "MethodNotAllowed": ("it does not know this request", "use a server that speaks S3, conditional puts included"),
    "NotImplemented": ("it does not know this request", "use a server that speaks S3, conditional puts included"),
}
"""Code of an error of S3 -> cause, cure."""

DENIED = "the credentials do not allow it", "grant s3:GetObject, PutObject, DeleteObject and ListBucket, or use others"
BUSY = "run again: the shards that are done stay done; fewer workers ask less"
UNREACHED = "look at the network and the endpoint, and run again: the shards that are done stay done"


def meaning_of(error: BaseException, verb: str, key: str, address: str) -> StoreError:
    """The error of obstore as one that says what was tried where, why it failed, and what helps."""
    text = str(error).partition("\n\nDebug source")[0]
    status = int(found[1]) if (found := re.search(r"status code: (\d{3})", text)) else 0
    code = found[1] if (found := re.search(r"<Code>(\w+)</Code>", text)) else ""
    tried = int(found[1]) if (found := re.search(r"after (\d+) retries", text)) else 0
    what = f"cannot {verb} {key or 'objects'} in {address}"
    if "169.254.169.254" in text or "/latest/api/token" in text:
        return StoreError(f"{what}: no credentials were found; {CREDENTIALS}")
    if code in CURES:
        cause, cure = CURES[code]
        return StoreError(f"{what}: {cause} ({code}); {cure}")
    if status in (401, 403):
        return StoreError(f"{what}: {DENIED[0]} ({code or status}); {DENIED[1]}")
    if status in (408, 409, 429) or status >= 500:
        answer = f"{status} {code}".strip()
        return TransientStoreError(f"{what}: the server answered {answer} {tried + 1} times; {BUSY}")
    if status == 0 and re.search(r"HTTP error|error sending|timed out|Content-Range|decoding|connection", text, re.I):
        return TransientStoreError(f"{what}: no answer in time to {tried + 1} requests; {UNREACHED}")
    return StoreError(f"{what}: {f'the server answered {status} {code}'.strip() if status else type(error).__name__}")

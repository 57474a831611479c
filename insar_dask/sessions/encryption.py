"""Encryption between client, scheduler and workers: three files, looked at before anything is opened."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from distributed import Security

__all__ = ["Tls", "protocol"]

CURE = "deploy/tls/certificates.sh FOLDER makes ca.pem, cert.pem and key.pem that fit together"


def protocol(security: Security | None) -> str:
    """What Dask's addresses begin with where it has such certificates, or none."""
    return "tcp://" if security is None else "tls://"


@dataclass(frozen=True, kw_only=True)
class Tls:
    """Certificates that client, scheduler and workers show to each other; who has none of this authority is refused.

    Parameters
    ----------
    ca : str
        PEM file of the authority that signed all certificates of the cluster.
    cert : str
        PEM file of this side's certificate.
    key : str
        PEM file of its key, without a passphrase.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    ca: str
    cert: str
    key: str

    def security(self) -> Security:
        """What Dask takes, for every role.

        Raises
        ------
        FileNotFoundError
            When a file is missing.
        ValueError
            When a file holds something else, key and certificate are no pair, or the authority did not sign it.
        """
        from distributed import Security

        self._check()
        files = {f"tls_{role}_{kind}": getattr(self, kind) for role in ROLES for kind in ("cert", "key")}
        return Security(tls_ca_file=self.ca, require_encryption=True, **files)

    def _check(self) -> None:
        for kind in ("ca", "cert", "key"):
            if not Path(getattr(self, kind)).is_file():
                raise FileNotFoundError(f"tls: no file {getattr(self, kind)!r} for {kind}; {CURE}")
        server, client = self._context(ssl.PROTOCOL_TLS_SERVER), self._context(ssl.PROTOCOL_TLS_CLIENT)
        try:
            _shake_hands(server, client)
        except ssl.SSLCertVerificationError as error:
            raise ValueError(
                f"tls: {self.cert} is not good under the authority {self.ca}: {error.verify_message}; {CURE}"
            ) from None

    def _context(self, protocol: int) -> ssl.SSLContext:
        context = ssl.SSLContext(protocol)
        context.check_hostname = False  # as Dask's: who is known to the authority belongs to the cluster
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(self.ca)
        except ssl.SSLError:
            raise ValueError(f"tls: ca {self.ca} holds no PEM certificate; {CURE}") from None
        try:
            context.load_cert_chain(self.cert, self.key, password=lambda: "")
        except ssl.SSLError as error:
            raise ValueError(f"tls: {_told(error, self.cert, self.key)}; {CURE}") from None
        return context


ROLES = ("client", "scheduler", "worker")


def _told(error: ssl.SSLError, cert: str, key: str) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"key {key} is not the key of certificate {cert}"
    return f"certificate {cert} and key {key} are no PEM files, or the key has a passphrase ({error.reason or error})"


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """Let both sides judge each other in memory, as they would on the network."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    while sides:
        for side in list(sides):
            try:
                side.do_handshake()
                sides.remove(side)
            except ssl.SSLWantReadError:
                pass

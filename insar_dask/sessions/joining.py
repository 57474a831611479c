"""Clusters that others started: a scheduler at an address, or behind a service of Kubernetes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from insar_dask.sessions.encryption import protocol

if TYPE_CHECKING:
    from distributed import Client, Security

__all__ = ["joined", "service_address"]

SCHEDULER_PORT = 8786


@contextmanager
def joined(address: str, security: Security | None, timeout: str) -> Iterator[Client]:
    """Connect to a scheduler, which stays when the block ends.

    Raises
    ------
    ValueError
        When address and certificates do not go together.
    OSError
        When no scheduler answers, or it refuses this side's certificate.
    """
    from distributed import Client

    scheme = address.partition("://")[0] if "://" in address else None
    if scheme == "tls" and security is None and not _configured():
        raise ValueError(f"{address} is encrypted: give tls with the files of its authority, certificate and key")
    if scheme not in (None, "tls") and security is not None:
        raise ValueError(
            f"{address} is not encrypted, and tls is given: give the scheduler's tls:// address, or no tls"
        )
    goal = address if scheme else f"{protocol(security)}{address}"
    try:
        client = Client(goal, **_taken(security, timeout))
    except OSError as error:
        raise OSError(f"{error}. {_reasons(goal, security)}") from error
    with client:
        yield client


def service_address(service: str, security: Security | None) -> str:
    """Address of the scheduler behind ``NAME`` or ``NAME.NAMESPACE``, as pods of its cluster reach it.

    Raises
    ------
    OSError
        When nothing has this name here, as outside of the cluster.
    """
    host = service if "." not in service else f"{service}.svc"
    try:
        socket.getaddrinfo(host, SCHEDULER_PORT)
    except OSError as error:
        name = service.partition(".")[0]
        raise OSError(
            f"no service {service!r} is known here ({error}); from outside of the cluster run "
            f"`kubectl port-forward service/{name} {SCHEDULER_PORT}`, and give address=127.0.0.1:{SCHEDULER_PORT}"
        ) from None
    return f"{protocol(security)}{host}:{SCHEDULER_PORT}"


def _configured() -> bool:
    """Whether Dask's own configuration has certificates for clients."""
    import dask.config

    return bool(dask.config.get("distributed.comm.tls.client.cert", None))


def _taken(security: Security | None, timeout: str) -> dict[str, object]:
    return {"timeout": timeout} if security is None else {"timeout": timeout, "security": security}


def _reasons(address: str, security: Security | None) -> str:
    if security is None:
        return f"Does a scheduler run at {address}, is it reached from here, and does it speak tcp, not tls?"
    return f"Does a scheduler run at {address} with tls, and did the same authority sign its certificate and this one?"

"""The sections of a configuration that say where: results go, work runs; and what that may cost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from insar_dask.bucket_address import bucket_address, is_bucket
from insar_dask.config.section import Section
from insar_dask.sessions import SlurmJobs, Tls

__all__ = ["PLACES", "PRODUCT", "Cluster", "Cost", "Store"]

PLACES = ("threads", "address", "kubernetes", "slurm", "gpus")
"""Keys of [cluster] of which each says alone where the work runs."""

PRODUCT = "{product}"
"""What stands in a store's path for the name of a product."""


class Store(Section):
    """Where results go."""

    path: str = Field(
        "demo-output/cube.zarr",
        min_length=1,
        description="Zarr store, or s3://bucket/prefix; report and maps are written beside it; with {product} in it, "
        "each product has its own",
    )
    options: dict[str, str | bool] = Field(
        {}, description='how to get to a bucket: {endpoint = "https://...", region = "..."}; never a secret'
    )
    folder: str | None = Field(
        None, description="where report and maps go instead; unset: beside the store, of a bucket the working directory"
    )
    at_once: int | None = Field(
        None, ge=1, description="products worked on at a time where each has a store; unset: what keeps workers busy"
    )
    shard_points: int = Field(65_536, ge=128, description="most points of a shard; small cubes get about 16 shards")

    @field_validator("path")
    @classmethod
    def _is_a_place(cls, path: str) -> str:
        if unknown := set(re.findall(r"\{.*?\}", path)) - {PRODUCT}:
            raise ValueError(f"of {', '.join(sorted(unknown))} nothing is known; {PRODUCT} alone stands for something")
        if path.startswith("s3:") and not is_bucket(path):
            raise ValueError("it has lost a slash: wanted s3://bucket/prefix")
        return path

    @field_validator("folder")
    @classmethod
    def _is_the_same_from_everywhere(cls, folder: str | None) -> str | None:
        """Of the configuration that is kept beside a store, verbs read it in other working directories too."""
        if folder is not None and is_bucket(folder):
            raise ValueError("reports and maps are written to a folder of this machine, not to a bucket")
        return folder and str(Path(folder).absolute())

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if self.options and not is_bucket(self.path):
            raise ValueError(f"options are for a store in a bucket, s3://..., and path is {self.path!r}")
        if is_bucket(self.path):
            bucket_address(self.path.replace(PRODUCT, "product"), self.options)
        return self

    @property
    def place(self) -> Path | str:
        """Folder, or address of a bucket."""
        return bucket_address(self.path, self.options) if is_bucket(self.path) else Path(self.path).absolute()


class Cluster(Section):
    """Where the work runs: worker processes of this machine, or what one of the other keys names."""

    workers: int | None = Field(
        None, ge=0, description="worker processes, or jobs of slurm; unset: one a core; 0: none, this process alone"
    )
    threads: int | None = Field(None, ge=1, description="so many threads of this process instead")
    address: str | None = Field(None, description='join the scheduler there instead, such as "tls://10.0.0.1:8786"')
    kubernetes: str | None = Field(
        None, description='join the scheduler behind this service, "NAME" or "NAME.NAMESPACE"'
    )
    slurm: SlurmJobs | None = Field(
        None, description='jobs of a queue: {interface = "ib0", walltime = "04:00:00", queue = "short"}'
    )
    gpus: int | Literal["all"] | None = Field(None, description='one worker for each of so many GPUs, or of "all"')
    threads_per_worker: int | None = Field(None, ge=1, description="threads of each worker; unset: 1, with gpus 2 to 8")
    memory_limit: str = Field("auto", description='memory of each worker, such as "2GiB"')
    host: str = Field("127.0.0.1", description="where scheduler and workers of this machine listen")
    dashboard: str = Field("127.0.0.1:0", description="where Dask's dashboard listens; port 0: a free one")
    tls: Tls | None = Field(None, description='encrypt: {ca = "ca.pem", cert = "cert.pem", key = "key.pem"}')
    timeout: str = Field("20s", description="how long to wait for a scheduler that is joined")

    @field_validator("gpus", mode="before")
    @classmethod
    def _is_a_number_or_all(cls, gpus: Any) -> Any:
        if gpus not in (None, "all") and not (isinstance(gpus, int) and gpus >= 1):
            raise ValueError('wanted a whole number of GPUs, or "all"')
        return gpus

    @property
    def alone(self) -> bool:
        """Whether this process works without Dask."""
        return self.workers == 0 and all(getattr(self, place) is None for place in PLACES)


class Cost(Section):
    """What `plan` reckons money with; what is not said here is not guessed."""

    cpu_hour: float | None = Field(None, ge=0, description="price of one core for an hour; unset: no price of the work")
    gb_month: float | None = Field(
        None, ge=0, description="price of 10^9 stored bytes for a month; unset: none of the store"
    )
    currency: str = Field("", description='such as "EUR"')

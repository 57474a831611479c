"""Where the work runs: this machine, its GPUs, a scheduler at an address, the jobs of a queue, a Kubernetes service.

``opening.py`` is the door. ``local.py`` starts workers of this machine, ``gpus.py`` finds its GPUs, ``slurm.py`` keeps
jobs in a queue, ``joining.py`` goes to a scheduler that others started, ``encryption.py`` reads certificates.
"""

from insar_dask.sessions.encryption import Tls
from insar_dask.sessions.opening import WITHOUT_WORKERS, session
from insar_dask.sessions.slurm import SlurmJobs

__all__ = ["WITHOUT_WORKERS", "SlurmJobs", "Tls", "session"]

"""Gates that hold tasks of a worker: `dask worker --preload` loads this file, `GATES` names the folder of the gates.

The first task that comes to a gate which is shut, a file ``PLACE-SHARD.shut``, waits until there is ``.open``. Places:
``before`` a task looks whether its shard is still its own; ``amid``, after that, before it writes.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from insar_dask.jobs import task


def wait_at(name: str) -> bool:
    folder = Path(os.environ["GATES"])
    try:
        (folder / f"{name}.shut").rename(folder / f"{name}.held")
    except FileNotFoundError:
        return False
    while not (folder / f"{name}.open").exists():
        time.sleep(0.02)
    return True


def dask_setup(_worker: object) -> None:
    """Put the gates into the task; two worker threads of one process share them."""
    write, write_block = task._write, task.write_block

    def gated_write(store: Any, stage: Any, index: int, *others: Any) -> Any:
        held = wait_at(f"before-{index}")
        try:
            return write(store, stage, index, *others)
        finally:
            if held:
                (Path(os.environ["GATES"]) / f"before-{index}.left").touch()

    def gated_write_block(store: Any, group: str, plan: Any, index: int, block: Any) -> Any:
        wait_at(f"amid-{index}")
        return write_block(store, group, plan, index, block)

    gates: dict[str, Callable[..., Any]] = {"_write": gated_write, "write_block": gated_write_block}
    for name, gated in gates.items():
        setattr(task, name, gated)

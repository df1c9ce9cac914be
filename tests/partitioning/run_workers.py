"""What each worker runs in a test: all cases of a folder, one after the other, with a communicator that counts what it is handed.

    mpiexec -n 2 python run_workers.py FOLDER

A case is a module NAME.py and its whole arrays NAME.npz (p_, i_ and h_ before the names of parameters, inputs and
hyper-parameters); the first worker writes NAME.out.npz with what all of them have together, and counted.json.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI


class Counted:
    """A communicator that notes the bytes of each buffer it is handed, and knows nothing else."""

    def __init__(self, comm: Any, notes: list[tuple[str, int]]) -> None:
        self.comm, self.notes = comm, notes

    def __getattr__(self, name: str) -> Any:
        return getattr(self.comm, name)

    def Split(self, color: int, key: int) -> Counted:
        return Counted(self.comm.Split(color, key), self.notes)

    def Allreduce(self, send: Any, receive: Any, operation: Any) -> None:
        self.notes.append(("all-reduce", receive.nbytes if send is MPI.IN_PLACE else send.nbytes))
        self.comm.Allreduce(send, receive, operation)

    def Iallreduce(self, send: Any, receive: Any, operation: Any) -> Any:
        self.notes.append(("all-reduce", receive.nbytes if send is MPI.IN_PLACE else send.nbytes))
        return self.comm.Iallreduce(send, receive, operation)

    def Isend(self, send: Any, target: int, tag: int) -> Any:
        self.notes.append(("send", send.nbytes))
        return self.comm.Isend(send, target, tag)

    def Allgather(self, send: Any, receive: Any) -> None:
        self.notes.append(("all-gather", send.nbytes))
        self.comm.Allgather(send, receive)

    def Allgatherv(self, send: Any, receive: Any) -> None:
        self.notes.append(("all-gather", send.nbytes))
        self.comm.Allgatherv(send, receive)


def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(folder: Path, name: str) -> dict[str, Any]:
    """Run one case; return what was counted by this worker."""
    with np.load(folder / f"{name}.npz") as file:
        given = {key: file[key] for key in file}
    kernel, notes = load(folder / f"{name}.py"), list[tuple[str, int]]()
    kernel.connect(Counted(MPI.COMM_WORLD, notes))
    params = kernel.shard({key[2:]: value for key, value in given.items() if key[:2] == "p_"})
    inputs = kernel.shard({key[2:]: value for key, value in given.items() if key[:2] == "i_"})
    hyper = {key[2:]: float(value) for key, value in given.items() if key[:2] == "h_"}
    loss, gradients = kernel.loss_and_grad(params, inputs, hyper=hyper)
    first = {key: np.array(value) for key, value in gradients.items()}
    dtype = next(iter(params.values())).dtype
    sizes = {key: int(value) for key, value in given.items() if key[:2] == "s_" for key in [key[2:]]}
    tracemalloc.start()
    workspace = kernel.Workspace(dtype=dtype, **sizes)
    del notes[:]
    again, gradients = kernel.loss_and_grad(params, inputs, workspace, hyper)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    counted = list(notes)
    repeated = loss == again and all(np.array_equal(first[key], value) for key, value in gradients.items())
    wholes = kernel.gather(first)
    outputs = kernel.gather(kernel.predict(params, inputs, hyper=hyper))
    if MPI.COMM_WORLD.Get_rank() == 0:
        found = {f"g_{key}": value for key, value in wholes.items()} | {f"o_{key}": value for key, value in outputs.items()}
        np.savez(folder / f"{name}.out.npz", loss=loss, **found)
    held = sum(array.nbytes for array in (*params.values(), *inputs.values()))
    return {"counted": counted, "bytes": held + peak, "repeated": bool(repeated), "loss": float(loss).hex()}


def main() -> None:
    folder = Path(sys.argv[1])
    found = {path.stem: run(folder, path.stem) for path in sorted(folder.glob("*.py"))}
    gathered = MPI.COMM_WORLD.gather(found)
    if gathered is not None:
        (folder / "counted.json").write_text(json.dumps(gathered), encoding="utf-8")


if __name__ == "__main__":
    main()

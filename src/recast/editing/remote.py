"""Edits of a queue made by machines of a Ray cluster, which share the folders of clips and results."""

from dataclasses import dataclass, field
from typing import Any

from recast.editing.queued import EditHandler, Fit
from recast.errors import Cancelled, RecastError
from recast.jobs.runners import start_ray
from recast.jobs.stored import StoredJob
from recast.progress import ProgressCallback

LOOK_SECONDS = 0.5
"""Between two questions how far an edit is."""
PATIENCE_SECONDS = 60.0
"""How long an edit that is to stop may take for its step, before its process is ended."""


class RemoteEditor:
    """Makes edits on one machine of the cluster, one after the other; the model of the last one stays loaded."""

    def __init__(self, fit: Fit) -> None:
        self._handler, self._step, self._stopped = EditHandler(fit), ("load", 0, 1), False

    def make(self, job: StoredJob) -> dict[str, Any]:
        """As `EditHandler.make`."""
        self._stopped = False
        return self._handler.make(job, self._watch)

    def step(self) -> tuple[str, int, int]:
        """How far the edit is. Asked while it is made."""
        return self._step

    def stop(self) -> None:
        """Ends the edit at its next step."""
        self._stopped = True

    def _watch(self, stage: str, done: int, total: int) -> None:
        self._step = (stage, done, total)
        if self._stopped:
            raise Cancelled("stopped from afar")


@dataclass
class RayHandler:
    """Does the edits of a queue: made on the cluster of RAY_ADDRESS, else by a process of this machine; published here.

    An actor has a core, and one GPU where the cluster has any. The queue itself stays on this machine.
    """

    fit: Fit
    _local: EditHandler = field(default_factory=EditHandler)
    _actor: Any = None

    def make(self, job: StoredJob, watch: ProgressCallback) -> dict[str, Any]:
        """Raises what the edit raises there, RecastError where its process died."""
        import ray

        actor = self._actor_of(ray)
        made = actor.make.remote(job)
        try:
            while not ray.wait([made], timeout=LOOK_SECONDS)[0]:
                watch(*ray.get(actor.step.remote()))
            return ray.get(made)
        except ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, RecastError) else RecastError(str(error.cause)) from None
        except ray.exceptions.RayActorError:
            self._actor = None
            raise RecastError("the process that made the edit died; see Ray's log of that machine") from None
        except BaseException:
            self._stop(ray, made)
            raise

    def publish(self, job: StoredJob) -> None:
        """As `EditHandler.publish`."""
        self._local.publish(job)

    def discard(self, job: StoredJob) -> None:
        """As `EditHandler.discard`."""
        self._local.discard(job)

    def _actor_of(self, ray: Any) -> Any:  # noqa: ANN401 -- an optional package
        if self._actor is None:
            gpus = 1 if ray.cluster_resources().get("GPU") else 0
            self._actor = (
                ray.remote(RemoteEditor).options(num_cpus=1, num_gpus=gpus, max_concurrency=2).remote(self.fit)
            )
        return self._actor

    def _stop(self, ray: Any, made: Any) -> None:  # noqa: ANN401
        self._actor.stop.remote()
        if not ray.wait([made], timeout=PATIENCE_SECONDS)[0]:
            ray.kill(self._actor)
            self._actor = None


def connected(fit: Fit) -> RayHandler:
    """The handler, once Ray runs. fit: as of `EditHandler`. Raises ExtraError where Ray is not installed."""
    start_ray()
    return RayHandler(fit)

"""The paths of an output directory: the contract's names in one place."""

import dataclasses
import re

from transforms.output import storage

PNG, WEBP, JSON = "image/png", "image/webp", "application/json"
PARQUET, HDF5 = "application/vnd.apache.parquet", "application/x-hdf5"
NPZ = "application/x-npz"
MARKDOWN = "text/markdown; charset=utf-8"
# One worker sorts a metrics file; about 30 kB a row as Python values, histories included.
ROWS_PER_METRICS_FILE = 5_000
_RUN_ID = re.compile(r"[0-9a-f]{16}")


@dataclasses.dataclass(frozen=True)
class Output:
    """The paths of an output directory, local or gs://."""

    root: str

    def image(self, run_id: str) -> str:
        """The picture, which carries its run's record."""
        return storage.join(self.root, image_path(run_id))

    def thumb(self, run_id: str) -> str:
        """The picture's thumbnail."""
        return storage.join(self.root, "thumbs", f"{run_id}.webp")

    def frame(self, run_id: str, iteration: int) -> str:
        """The thumbnail of a picture on the way, after so many iterations."""
        return storage.join(self.root, frame_path(run_id, iteration))

    def frames(self, run_id: str) -> str:
        """The directory of a run's pictures on the way."""
        return storage.join(self.root, "frames", run_id)

    def marker(self, run_id: str) -> str:
        """The marker of a finished run, which holds its record."""
        return storage.join(self.root, "runs", f"{run_id}.json")

    def measures(self, run_id: str) -> str:
        """The measures that were computed after the run was finished."""
        return storage.join(self.root, "measures", f"{run_id}.json")

    def failure(self, failure_id: str) -> str:
        """The record of a failure."""
        return storage.join(self.root, "failures", f"{failure_id}.json")

    def checkpoint(self, run_id: str) -> str:
        """The snapshot from which an unfinished run goes on, see `stylecore.run.snapshot`."""
        return storage.join(self.root, "checkpoints", f"{run_id}.npz")

    def attempt(self, name: str) -> str:
        """What says that a batch, or a run alone, is under way, see `attempts`."""
        return storage.join(self.root, "attempts", f"{name}.json")

    def timing(self, run_id: str) -> str:
        """The seconds that a run took, kept here until its marker holds them, where the picture must not."""
        return storage.join(self.root, "checkpoints", f"{run_id}.json")

    def partial(self, run_id: str) -> str:
        """The last good picture of a run that failed."""
        return storage.join(self.root, "partial", f"{run_id}.png")

    def source(self, sha256: str) -> str:
        """The thumbnail of an input image; `sha256` is in hex."""
        return storage.join(self.root, source_path(sha256))

    def facts(self, shard: str) -> str:
        """What is known of input images, see `transforms.output.facts`."""
        return storage.join(self.root, "facts", f"{shard}.parquet")

    def weights(self, fingerprint: str) -> str:
        """The backbone weights that all workers read."""
        return storage.join(self.root, "weights", f"{fingerprint}.weights.h5")

    def metrics(self, name: str = "") -> str:
        """A metrics file; the directory of the metrics unless a name is given."""
        return storage.join(self.root, "metrics", *filter(None, [name]))

    def dataset(self, name: str = "") -> str:
        """A file of the dataset; its directory unless a name is given."""
        return storage.join(self.root, "dataset", *filter(None, [name]))

    def gallery(self, name: str) -> str:
        """A file of the gallery."""
        return storage.join(self.root, "gallery", name)

    @property
    def choices(self) -> str:
        """choices.json, what people chose in the gallery, if anybody has put it there."""
        return storage.join(self.root, "choices.json")

    @property
    def job(self) -> str:
        """job.json, which describes the job."""
        return storage.join(self.root, "job.json")

    def ids(self, folder: str) -> set[str]:
        """Returns the names, without .json, of the files in the folder `runs`, `failures` or `measures`."""
        return {name.removesuffix(".json") for name in storage.list_names(storage.join(self.root, folder), ".json")}


def is_run_id(text: str | None) -> bool:
    """Returns whether a text, which may come from anywhere, has the form of a run_id and may be part of a path."""
    return text is not None and _RUN_ID.fullmatch(text) is not None


def image_path(run_id: str) -> str:
    """Returns a picture's path in the output directory, as the metrics name it."""
    return f"images/{run_id}.png"


def frame_path(run_id: str, iteration: int) -> str:
    """Returns the path of a picture on the way in the output directory."""
    return f"frames/{run_id}/{iteration}.webp"


def source_path(sha256: str) -> str:
    """Returns the path of an input image's thumbnail in the output directory; `sha256` is in hex."""
    return f"sources/{sha256[:16]}.webp"

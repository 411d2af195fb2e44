"""The paths of an output directory: the contract's names in one place."""

import dataclasses

from transforms.output import storage

PNG, WEBP, JSON = "image/png", "image/webp", "application/json"
PARQUET, HDF5 = "application/vnd.apache.parquet", "application/x-hdf5"
NPZ = "application/x-npz"
MARKDOWN = "text/markdown; charset=utf-8"
# A metrics file is sorted in one worker's memory: about 30 kB a row, histories included.
ROWS_PER_METRICS_FILE = 5_000


@dataclasses.dataclass(frozen=True)
class Output:
    """An output directory, local or not."""

    root: str

    def image(self, run_id: str) -> str:
        """The picture, which carries its metrics row."""
        return storage.join(self.root, image_path(run_id))

    def thumb(self, run_id: str) -> str:
        """The picture's thumbnail."""
        return storage.join(self.root, "thumbs", f"{run_id}.webp")

    def marker(self, run_id: str) -> str:
        """The marker of a finished run: its metrics row."""
        return storage.join(self.root, "runs", f"{run_id}.json")

    def failure(self, failure_id: str) -> str:
        """The record of a failure."""
        return storage.join(self.root, "failures", f"{failure_id}.json")

    def checkpoint(self, run_id: str) -> str:
        """Where a run that is not done was left, see `stylecore.run.snapshot`."""
        return storage.join(self.root, "checkpoints", f"{run_id}.npz")

    def timing(self, run_id: str) -> str:
        """How long a run took, until its marker says so, if its picture must not."""
        return storage.join(self.root, "checkpoints", f"{run_id}.json")

    def partial(self, run_id: str) -> str:
        """The last good picture of a run that failed."""
        return storage.join(self.root, "partial", f"{run_id}.png")

    def source(self, sha256: str) -> str:
        """The thumbnail of an input image."""
        return storage.join(self.root, source_path(sha256))

    def weights(self, fingerprint: str) -> str:
        """The backbone weights that all workers read."""
        return storage.join(self.root, "weights", f"{fingerprint}.weights.h5")

    def metrics(self, name: str = "") -> str:
        """A file of metrics, or their directory."""
        return storage.join(self.root, "metrics", *filter(None, [name]))

    def dataset(self, name: str = "") -> str:
        """A file of the dataset, or its directory."""
        return storage.join(self.root, "dataset", *filter(None, [name]))

    def gallery(self, name: str) -> str:
        """A file of the gallery."""
        return storage.join(self.root, "gallery", name)

    @property
    def job(self) -> str:
        """What job this is."""
        return storage.join(self.root, "job.json")

    def ids(self, folder: str) -> set[str]:
        """Returns the names, without .json, of the records in `runs` or `failures`."""
        return {name.removesuffix(".json") for name in storage.list_names(storage.join(self.root, folder), ".json")}


def image_path(run_id: str) -> str:
    """Returns a picture's path in the output directory, as the metrics name it."""
    return f"images/{run_id}.png"


def source_path(sha256: str) -> str:
    """Returns the path of an input's thumbnail in the output directory."""
    return f"sources/{sha256[:16]}.webp"

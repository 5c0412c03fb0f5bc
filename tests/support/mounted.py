"""A Secret as Kubernetes mounts it: files are links through a directory that is exchanged as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Mounted"]


@dataclass
class Mounted:
    """The volume at `root`."""

    root: Path
    versions: int = 0

    def put(self, **texts: str) -> None:
        """Another version of the Secret."""
        self.versions += 1
        data = self.root / f"..{self.versions}"
        data.mkdir()
        for name, text in texts.items():
            (data / name).write_text(text + "\n")
        link = self.root / "..data_tmp"
        link.symlink_to(data.name)
        link.rename(self.root / "..data")
        for name in texts:
            if not (self.root / name).is_symlink():
                (self.root / name).symlink_to(f"..data/{name}")

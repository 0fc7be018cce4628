"""Names of weights in files: a module keeps names of its own inside, and reads and writes the published ones."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from torch import Tensor, nn


class PublishedNames(nn.Module):
    """A module whose state dict has other names than its parts.

    ``published_names`` maps the beginning of a name inside to that in files; of several that fit, the first counts.
    """

    published_names: Mapping[str, str]

    def use_published_names(self) -> None:
        """Write state dicts with published names from now on; call it after ``nn.Module.__init__``."""
        self._register_state_dict_hook(_publish)

    def _load_from_state_dict(
        self, state_dict: MutableMapping[str, Tensor], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        inside = {published: own for own, published in self.published_names.items()}
        _rename(state_dict, prefix, inside)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _publish(
    module: PublishedNames, state_dict: MutableMapping[str, Tensor], prefix: str, _metadata: Any
) -> None:
    _rename(state_dict, prefix, module.published_names)


def _rename(state_dict: MutableMapping[str, Tensor], prefix: str, table: Mapping[str, str]) -> None:
    """Rename, in place, what begins with ``prefix``; the order stays."""
    for name in [name for name in state_dict if name.startswith(prefix)]:
        bare = name.removeprefix(prefix)
        new = next(
            (to + bare.removeprefix(part) for part, to in table.items() if bare.startswith(part)), bare
        )
        state_dict[prefix + new] = state_dict.pop(name)

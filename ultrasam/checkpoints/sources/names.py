"""Tables of names, and the one engine that applies them, to our names and back.

A table is data: pairs of templates. A template is a tensor name with fields in braces, ``blocks.{i}.norm{n}.{p}``;
the same fields stand in both templates of a pair, so that every pair can be read in either direction.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from ultrasam.errors import CheckpointError

FIELDS: dict[str, str] = {
    'i': r'0|[1-9]\d*',
    'n': r'\d',
    'p': r'weight|bias',
    'axis': r'h|w',
    'part': r'qkv|proj',
    'qkv': r'q|k|v',
    'attention': r'self_attn|cross_attn_token_to_image|cross_attn_image_to_token',
}
"""What the fields of a template may stand for."""

_FIELD = re.compile(r'\{(\w+)\}')
_SHOWN = 5


def some(names: Iterable[str]) -> str:
    """The first names of many, for a message."""
    every = list(names)
    return ', '.join(every[:_SHOWN]) + (', ...' if len(every) > _SHOWN else '')


def template_pattern(template: str) -> re.Pattern[str]:
    """The regular expression of a template, with a named group for each field."""
    literal_and_field = _FIELD.split(template)
    pieces = [
        f'(?P<{piece}>{FIELDS[piece]})' if index % 2 else re.escape(piece)
        for index, piece in enumerate(literal_and_field)
    ]
    return re.compile(''.join(pieces))


@dataclass(frozen=True)
class Rename:
    """One tensor under another name.

    Args:
        theirs: template of the name at the source; several for copies of one tensor, of which a file may hold
            any and must hold one.
        ours: template of our name.
    """

    theirs: str | tuple[str, ...]
    ours: str

    @property
    def their_templates(self) -> tuple[str, ...]:
        """The names at the source, as a tuple."""
        return (self.theirs,) if isinstance(self.theirs, str) else self.theirs

    def split(self, tensor: Tensor) -> list[Tensor]:
        """The tensors at the source: our tensor, once for each copy."""
        return [tensor.clone() if k else tensor for k in range(len(self.their_templates))]

    def join(self, parts: Mapping[int, Tensor]) -> Tensor | str:
        """Our tensor from the copies found, by their position; a string says why not."""
        first, *others = parts.values()
        if any(other.shape != first.shape or not torch.equal(other, first) for other in others):
            return f'{some(self.their_templates)} are copies of one tensor, but differ'
        return first


@dataclass(frozen=True)
class Stack:
    """Several tensors that are the rows of one of ours.

    Args:
        theirs: templates of the names at the source, in the order of the rows.
        ours: template of our name.
        rows: rows of each; None shares what is left equally among all that are None.
    """

    theirs: tuple[str, ...]
    ours: str
    rows: tuple[int | None, ...]

    @property
    def their_templates(self) -> tuple[str, ...]:
        """The names at the source."""
        return self.theirs

    def split(self, tensor: Tensor) -> list[Tensor] | str:
        """The tensors at the source, each with memory of its own; a string says why not."""
        left = (tensor.shape[0] if tensor.dim() else 0) - sum(rows or 0 for rows in self.rows)
        free = self.rows.count(None)
        if left < free or left % free:
            return f'{self.ours} of shape {list(tensor.shape)} does not divide into {len(self.rows)} parts'
        sizes = [left // free if rows is None else rows for rows in self.rows]
        return [part.clone() for part in tensor.split(sizes)]

    def join(self, parts: Mapping[int, Tensor]) -> Tensor | str:
        """Our tensor from its parts, by their position; a string says why not."""
        absent = [name for k, name in enumerate(self.theirs) if k not in parts]
        if absent:
            return f'{some(absent)} missing'
        tensors = [parts[k] for k in range(len(self.theirs))]
        free = {tensor.shape for tensor, rows in zip(tensors, self.rows, strict=True) if rows is None}
        fixed = all(
            tensor.dim() and tensor.shape[0] == (tensor.shape[0] if rows is None else rows)
            for tensor, rows in zip(tensors, self.rows, strict=True)
        )
        widths = {(tensor.shape[1:], tensor.dtype) for tensor in tensors}
        if not fixed or len(free) > 1 or len(widths) > 1:
            return f'{some(self.theirs)} have shapes that do not fit each other: {[list(t.shape) for t in tensors]}'
        return torch.cat(tensors)


@dataclass(frozen=True)
class KeyAccount:
    """Where every tensor of a conversion went.

    Args:
        landed: each name that was read -> the names that it was written under.
        read: number of tensors and of values read.
        written: number of tensors and of values written.
    """

    landed: dict[str, tuple[str, ...]]
    read: tuple[int, int]
    written: tuple[int, int]

    @property
    def message(self) -> str:
        """The counts in one line."""
        return (
            f'{self.read[0]} tensors ({self.read[1]:,} values) read, all used once; '
            f'{self.written[0]} tensors ({self.written[1]:,} values) written; none missing, none left'
        )

    def record(self) -> dict[str, object]:
        """Plain values for a manifest."""
        return dict(
            tensors_read=self.read[0],
            values_read=self.read[1],
            tensors_written=self.written[0],
            values_written=self.written[1],
            landed={name: list(targets) for name, targets in self.landed.items()},
        )


def size_of(state_dict: Mapping[str, Tensor]) -> tuple[int, int]:
    """Number of tensors and of values."""
    return len(state_dict), sum(tensor.numel() for tensor in state_dict.values())


@dataclass(frozen=True, kw_only=True)
class NameTable:
    """The names of a source beside ours.

    Args:
        name: what the source is called on a command line.
        title: what it is called in a message.
        rules: pairs of names.
        prefixes: prefixes that all names of a file may share without meaning anything.
    """

    name: str
    title: str
    rules: tuple[Rename | Stack, ...]
    prefixes: tuple[str, ...] = field(default=())

    @cached_property
    def _their_patterns(self) -> list[tuple[re.Pattern[str], Rename | Stack, int]]:
        return [
            (template_pattern(template), rule, k)
            for rule in self.rules
            for k, template in enumerate(rule.their_templates)
        ]

    @cached_property
    def _our_patterns(self) -> list[tuple[re.Pattern[str], Rename | Stack]]:
        return [(template_pattern(rule.ours), rule) for rule in self.rules]

    def their_names(self, our_name: str) -> tuple[str, ...]:
        """The names at the source of one of our tensors; none if the source has no such tensor."""
        for pattern, rule in self._our_patterns:
            match = pattern.fullmatch(our_name)
            if match:
                return tuple(template.format(**match.groupdict()) for template in rule.their_templates)
        return ()

    def _landing(self, their_name: str) -> tuple[Rename | Stack, int, str] | None:
        for pattern, rule, k in self._their_patterns:
            match = pattern.fullmatch(their_name)
            if match:
                return rule, k, rule.ours.format(**match.groupdict())
        return None

    def to_ours(
        self, state_dict: Mapping[str, Tensor], source: str
    ) -> tuple[OrderedDict[str, Tensor], KeyAccount]:
        """Rename to our names; every tensor is used exactly once.

        Whether all tensors of a model are there is known to the model alone: see
        :func:`ultrasam.export.convert.check_complete`.

        Args:
            state_dict: flat, under the names of the source.
            source: where it came from, for messages.

        Returns:
            The same values under our names, and the account.

        Raises:
            CheckpointError: a name that the source does not have, a part of a stack missing, or parts that do
                not fit each other.
        """
        prefix = next(
            (p for p in self.prefixes if state_dict and all(n.startswith(p) for n in state_dict)), ''
        )
        gathered: OrderedDict[str, tuple[Rename | Stack, dict[int, Tensor]]] = OrderedDict()
        landed: dict[str, tuple[str, ...]] = {}
        unknown = []
        for name, tensor in state_dict.items():
            landing = self._landing(name.removeprefix(prefix))
            if landing is None:
                unknown.append(name)
                continue
            rule, k, ours = landing
            gathered.setdefault(ours, (rule, {}))[1][k] = tensor
            landed[name] = (ours,)
        results = {ours: rule.join(parts) for ours, (rule, parts) in gathered.items()}
        faults = [f'{ours}: {result}' for ours, result in results.items() if isinstance(result, str)]
        self._refuse(source, f'not {self.title}', len(landed), unknown, faults)
        converted = OrderedDict(
            (name, tensor) for name, tensor in results.items() if isinstance(tensor, Tensor)
        )
        return converted, KeyAccount(landed, size_of(state_dict), size_of(converted))

    def from_ours(
        self, state_dict: Mapping[str, Tensor], source: str
    ) -> tuple[OrderedDict[str, Tensor], KeyAccount]:
        """Undo :meth:`to_ours`.

        Args:
            state_dict: flat, under our names.
            source: where it came from, for messages.

        Returns:
            The same values under the names of the source, each tensor with memory of its own, and the account.

        Raises:
            CheckpointError: a tensor that the source has no name for, or one that cannot be divided.
        """
        written: OrderedDict[str, Tensor] = OrderedDict()
        landed: dict[str, tuple[str, ...]] = {}
        unknown, faults = [], []
        for name, tensor in state_dict.items():
            rule = next((rule for pattern, rule in self._our_patterns if pattern.fullmatch(name)), None)
            if rule is None:
                unknown.append(name)
                continue
            parts = rule.split(tensor)
            if isinstance(parts, str):
                faults.append(parts)
                continue
            landed[name] = self.their_names(name)
            written.update(zip(landed[name], parts, strict=True))
        self._refuse(source, f'has no form in {self.title}', len(landed), unknown, faults)
        return written, KeyAccount(landed, size_of(state_dict), size_of(written))

    def _refuse(self, source: str, what: str, used: int, unknown: list[str], faults: list[str]) -> None:
        if unknown or faults or not used:
            raise CheckpointError(
                f'{source}: {what}: {used} tensors have a known name, {len(unknown)} unknown names'
                f'{f" ({some(unknown)})" if unknown else ""}, {len(faults)} that cannot be joined or divided'
                f'{f" ({some(faults)})" if faults else ""}. Nothing was converted.'
            )

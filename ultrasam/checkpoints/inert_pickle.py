"""A pickle reader that builds data and runs nothing.

An ordinary unpickler imports whatever a file names and calls it. Here a name stays a name: the few that a
checkpoint needs have a constructor of ours in :mod:`ultrasam.checkpoints.allowed_names`, every other one is
refused. No module is imported, no attribute of a live class is read or set because a file says so.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from ultrasam.checkpoints.allowed_names import (
    CONSTANTS,
    CONSTRUCTORS,
    Name,
    RefusedPickleError,
    fill_from_state,
    is_allowed,
)

_PYTHON2_MODULES = {'__builtin__': 'builtins', 'copy_reg': 'copyreg'}
_CONSTANT_OPCODES = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False}
_INTEGER_OPCODES = ('INT', 'BININT', 'BININT1', 'BININT2', 'LONG', 'LONG1', 'LONG4')
_FLOAT_OPCODES = ('FLOAT', 'BINFLOAT')
_TEXT_OPCODES = (
    *('STRING', 'BINSTRING', 'SHORT_BINSTRING'),
    *('UNICODE', 'BINUNICODE', 'SHORT_BINUNICODE', 'BINUNICODE8'),
)
_BYTES_OPCODES = ('BINBYTES', 'SHORT_BINBYTES', 'BINBYTES8', 'BYTEARRAY8')
_VALUE_OPCODES = frozenset((*_INTEGER_OPCODES, *_FLOAT_OPCODES, *_TEXT_OPCODES, *_BYTES_OPCODES))
_EMPTY_OPCODES = {'EMPTY_TUPLE': tuple, 'EMPTY_LIST': list, 'EMPTY_DICT': dict, 'EMPTY_SET': set}
_TUPLE_SIZES = {'TUPLE1': 1, 'TUPLE2': 2, 'TUPLE3': 3}
_GET_OPCODES = frozenset(('GET', 'BINGET', 'LONG_BINGET'))
_PUT_OPCODES = frozenset(('PUT', 'BINPUT', 'LONG_BINPUT'))
_SCALARS = (str, int, float, bool, bytes, type(None), np.generic)


def _name_of(module: str, name: str) -> Name:
    return Name(_PYTHON2_MODULES.get(module, module), name)


def scan_names(stream: IO[bytes]) -> set[Name]:
    """List every global that one pickle names, without executing it.

    Args:
        stream: A seekable binary stream at the start of a pickle; left after its last byte.

    Returns:
        The names. One that the pickle computes at run time appears as ``<computed>``.

    Raises:
        ValueError: The bytes are not a complete pickle.
    """
    names: set[Name] = set()
    texts: list[Any] = []
    memo: dict[Any, Any] = {}
    for opcode, arg, _ in pickletools.genops(stream):
        if opcode.name in ('GLOBAL', 'INST'):
            names.add(_name_of(*str(arg).split(' ', 1)))
        elif opcode.name == 'STACK_GLOBAL':
            known = len(texts) >= 2 and all(isinstance(text, str) for text in texts[-2:])
            names.add(_name_of(*texts[-2:]) if known else Name('<computed>', '<computed>'))
        if opcode.name in _PUT_OPCODES:
            memo[arg] = texts[-1] if texts else None
        elif opcode.name == 'MEMOIZE':
            memo[len(memo)] = texts[-1] if texts else None
        elif opcode.name in _GET_OPCODES:
            texts.append(memo.get(arg))
        elif opcode.name != 'PROTO' and opcode.name != 'FRAME':
            texts.append(arg if opcode.name in _VALUE_OPCODES else None)
        del texts[:-2]
    return names


def refused_names(stream: IO[bytes]) -> list[str]:
    """List the globals of one pickle that this reader refuses, sorted, without executing it.

    Args:
        stream: A seekable binary stream at the start of a pickle; left after its last byte.

    Raises:
        ValueError: The bytes are not a complete pickle.
    """
    return sorted(str(name) for name in scan_names(stream) if not is_allowed(name))


class InertUnpickler:
    """Executes one pickle over plain data, tensors, arrays and nothing else.

    Args:
        stream: A seekable binary stream at the start of a pickle; left after its last byte.
        open_storage: Gives the flat tensor of a storage for its persistent id,
            ``('storage', type, key, location, count)``; without it the pickle may hold no tensor.
    """

    def __init__(
        self, stream: IO[bytes], open_storage: Callable[[tuple[Any, ...]], Any] | None = None
    ) -> None:
        self._stream = stream
        self._open_storage = open_storage
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def load(self) -> Any:
        """Run the pickle and return its object.

        Raises:
            RefusedPickleError: It asks for something that is not data.
            Exception: It is malformed; which error the bytes lead to is open, and the caller treats each of
                them as a damaged file.
        """
        for opcode, arg, _ in pickletools.genops(self._stream):
            self._step(opcode.name, arg)
        return self._stack.pop()

    def _step(self, opcode: str, arg: Any) -> None:
        if opcode in _VALUE_OPCODES:
            self._stack.append(arg)
        elif opcode in _CONSTANT_OPCODES:
            self._stack.append(_CONSTANT_OPCODES[opcode])
        elif opcode in _EMPTY_OPCODES:
            self._stack.append(_EMPTY_OPCODES[opcode]())
        elif opcode in _GET_OPCODES:
            self._stack.append(self._memo[arg])
        elif opcode in _PUT_OPCODES:
            self._memo[arg] = self._stack[-1]
        elif opcode in _TUPLE_SIZES:
            size = _TUPLE_SIZES[opcode]
            self._stack[-size:] = [tuple(self._stack[-size:])]
        else:
            handler = getattr(self, f'_do_{opcode.lower()}', None)
            if handler is None:
                raise RefusedPickleError(f'the pickle instruction {opcode}')
            handler(arg)

    def _do_proto(self, arg: int) -> None:
        pass

    def _do_frame(self, arg: int) -> None:
        pass

    def _do_stop(self, arg: None) -> None:
        if self._marks or len(self._stack) != 1:
            raise ValueError('the pickle ends in the middle of an object')

    def _do_memoize(self, arg: None) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _do_mark(self, arg: None) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _items_since_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _do_tuple(self, arg: None) -> None:
        items = self._items_since_mark()
        self._stack.append(tuple(items))

    def _do_list(self, arg: None) -> None:
        items = self._items_since_mark()
        self._stack.append(items)

    def _do_dict(self, arg: None) -> None:
        items = self._items_since_mark()
        self._stack.append({})
        self._set_items(items)

    def _do_frozenset(self, arg: None) -> None:
        items = self._items_since_mark()
        self._stack.append(frozenset(_hashable(item) for item in items))

    def _do_append(self, arg: None) -> None:
        self._extend([self._stack.pop()])

    def _do_appends(self, arg: None) -> None:
        self._extend(self._items_since_mark())

    def _extend(self, items: list[Any]) -> None:
        if type(self._stack[-1]) is not list:
            raise RefusedPickleError(f'appending to a {type(self._stack[-1]).__name__}')
        self._stack[-1].extend(items)

    def _do_setitem(self, arg: None) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set_items([key, value])

    def _do_setitems(self, arg: None) -> None:
        self._set_items(self._items_since_mark())

    def _set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict):
            raise RefusedPickleError(f'setting items of a {type(target).__name__}')
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_hashable(key)] = value

    def _do_additems(self, arg: None) -> None:
        items = self._items_since_mark()
        if type(self._stack[-1]) is not set:
            raise RefusedPickleError(f'adding to a {type(self._stack[-1]).__name__}')
        self._stack[-1].update(_hashable(item) for item in items)

    def _do_global(self, arg: str) -> None:
        self._push_name(_name_of(*arg.split(' ', 1)))

    def _do_stack_global(self, arg: None) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise RefusedPickleError('a global whose name is not a text')
        self._push_name(_name_of(module, name))

    def _push_name(self, name: Name) -> None:
        if not is_allowed(name):
            raise RefusedPickleError(f'the global {name}')
        self._stack.append(CONSTANTS.get(str(name), name))

    def _do_reduce(self, arg: None) -> None:
        arguments, called = self._stack.pop(), self._stack.pop()
        constructor = CONSTRUCTORS.get(str(called)) if isinstance(called, Name) else None
        if constructor is None or not isinstance(arguments, tuple):
            raise RefusedPickleError(f'a call of {called}')
        self._stack.append(constructor(*arguments))

    _do_newobj = _do_reduce

    def _do_build(self, arg: None) -> None:
        state = self._stack.pop()
        fill_from_state(self._stack[-1], state)

    def _do_binpersid(self, arg: None) -> None:
        saved_id = self._stack.pop()
        if self._open_storage is None or not isinstance(saved_id, tuple):
            raise RefusedPickleError(f'a persistent id {type(saved_id).__name__}')
        self._stack.append(self._open_storage(saved_id))


def _hashable(key: Any) -> Any:
    # Nested tuples that share parts hash in exponential time, so only flat ones may be keys.
    parts = key if isinstance(key, tuple) else (key,)
    if not all(isinstance(part, _SCALARS) for part in parts):
        raise RefusedPickleError(f'a dictionary key of type {type(key).__name__}')
    return key

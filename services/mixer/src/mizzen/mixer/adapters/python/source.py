"""From a file to callables: read, run and check it; nothing is kept of a file that does not hold up."""

from __future__ import annotations

import inspect
import itertools
import sys
import traceback
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mizzen.mixer.adapter import AdapterError
from mizzen.mixer.adapters.python.declare import KINDS, MARK, METHODS
from mizzen.mixer.templates import Instance

MAX_BYTES = 2**20
_serial = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Offer:
    """One thing a file offers: what to call, and what to call in the end."""

    name: str
    call: Callable[..., Any]
    is_async: bool
    close: Callable[[], Any] | None


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was read and run."""

    offers: Mapping[str, Offer]  # by template


def load(path: Path, params: Mapping[str, object]) -> Source:
    """Run the file and make its classes; raises AdapterError with the line that is wrong.

    Running a file is running its author's code, with everything that this process may do.
    """
    module = types.ModuleType(f"mizzen_adapter_{next(_serial)}_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        code = compile(_read(path), str(path), "exec")
        exec(code, module.__dict__)  # noqa: S102 - that is what the adapter is for
        offers = _offers(module, params)
    except AdapterError:
        raise
    except SyntaxError as error:
        raise AdapterError(f"{path}:{error.lineno}: {error.msg}") from None
    except (Exception, SystemExit) as error:
        raise AdapterError(explain(error, path)) from error
    finally:
        del sys.modules[module.__name__]
    if not offers:
        raise AdapterError(f"{path}: nothing in it is marked with @adapter(template=...)")
    return Source(offers)


def explain(error: BaseException, path: Path) -> str:
    """`audit.py:12: KeyError: 'user'`, with the line of the file that was last on the way to the error."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}{f':{lines[-1]}' if lines else ''}: {type(error).__name__}: {error}"


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise AdapterError(f"file: cannot read {path}: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise AdapterError(f"file: {path} is longer than {MAX_BYTES} bytes")
    return data


def _offers(module: types.ModuleType, params: Mapping[str, object]) -> dict[str, Offer]:
    offers: dict[str, Offer] = {}
    for name, offered in list(vars(module).items()):
        template = vars(offered).get(MARK) if inspect.isclass(offered) else getattr(offered, MARK, None)
        if template is None or getattr(offered, "__module__", "") != module.__name__:
            continue
        if template in offers:
            raise AdapterError(f"{module.__file__}: {offers[template].name} and {name} are both for {template}")
        offers[template] = _offer(module, name, template, params)
    return offers


def _offer(module: types.ModuleType, name: str, template: str, params: Mapping[str, object]) -> Offer:
    offered = vars(module)[name]
    close = None
    if inspect.isclass(offered):
        make: Callable[..., object] = offered
        made = make(dict(params)) if inspect.signature(offered).parameters else make()
        call, close = getattr(made, METHODS[template]), getattr(made, "close", None)
    else:
        call = offered
    _check_types(module, name, call, template)
    return Offer(name, call, inspect.iscoroutinefunction(call), close)


def _check_types(module: types.ModuleType, name: str, call: Callable[..., Any], template: str) -> None:
    """A parameter that is annotated with another template's instance is a mistake worth finding before requests do."""
    wanted = 2 if METHODS[template] == "quota" else 1
    parameters = list(inspect.signature(call).parameters.values())
    required = [
        p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    has_rest = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if len(required) > wanted or (len(parameters) < wanted and not has_rest):
        raise AdapterError(f"{module.__file__}: {name} must take {wanted} arguments for {template}")
    hint = typing.get_type_hints(call).get(parameters[0].name)
    arguments = typing.get_args(hint) or (hint,)
    kinds = [kind for kind in arguments if inspect.isclass(kind) and issubclass(kind, Instance)]
    if kinds and not any(issubclass(KINDS[template], kind) for kind in kinds):
        raise AdapterError(f"{module.__file__}: {name} takes {kinds[0].__name__}, but is offered for {template}")
    is_many = METHODS[template] == "report"
    if kinds and is_many is not (inspect.isclass(origin := typing.get_origin(hint)) and issubclass(origin, Sequence)):
        right = KINDS[template].__name__
        raise AdapterError(f"{module.__file__}: {name} must take {f'Sequence[{right}]' if is_many else right}")

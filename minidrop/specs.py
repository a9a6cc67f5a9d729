"""Short texts that name a thing and its arguments: `normal:0.01`, `momentum:form=ema`, `linear:0.99,500`.

    NAME  or  NAME:ARGUMENT,...,KEYWORD=VALUE,...

Configuration files and command-line options say with them which initializer, optimizer or schedule is meant.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from minidrop.errors import ArgumentError, check_choice


def parse(spec: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Take a spec apart: its name, its arguments and its keyword arguments.

    >>> parse("momentum:0.5,form=torch,nesterov=true")
    ('momentum', [0.5], {'form': 'torch', 'nesterov': True})
    """
    name, _, rest = spec.partition(":")
    arguments: list[Any] = []
    keywords: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, equals, text = part.partition("=")
        if equals:
            keywords[key.strip()] = _value(text.strip())
        else:
            arguments.append(_value(part.strip()))
    return name.strip(), arguments, keywords


def build(what: str, spec: str, registry: Mapping[str, Callable[..., Any]], *first: Any, **given: Any) -> Any:
    """Call the entry of `registry` that `spec` names, with `first` before and `given` beside its arguments.

    Raises:
        ArgumentError: for an unknown name, an argument that it does not take, or one that it refuses.

    >>> from minidrop.initializers import INITIALIZERS
    >>> build("init", "normal:0.05", INITIALIZERS)
    Normal(std=0.05, mean=0.0)
    """
    name, arguments, keywords = parse(spec)
    make = registry[check_choice(what, name, registry)]
    try:
        inspect.signature(make).bind(*first, *arguments, **given, **keywords)
    except TypeError as error:
        raise ArgumentError(
            f"{what} {spec!r}: {error}; it is used as {usage(name, make, len(first))}"
        ) from None
    try:
        return make(*first, *arguments, **given, **keywords)
    except TypeError as error:  # a keyword that **options passed on
        raise ArgumentError(f"{what} {spec!r}: {error}") from None


def usage(name: str, make: Callable[..., Any], skip: int = 0) -> str:
    """How an entry is written, with its defaults.

    >>> from minidrop.initializers import Uniform
    >>> usage("uniform", Uniform)
    'uniform:low=-0.1,high=0.1'
    """
    parameters = list(inspect.signature(make).parameters.values())[skip:]
    parts = [
        p.name if p.default is p.empty else f"{p.name}={p.default}"
        for p in parameters
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]
    return f"{name}:{','.join(parts)}" if parts else name


def _value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

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
        ArgumentError: for an unknown name, or an argument that the entry does not take or refuses.

    >>> from minidrop.initializers import INITIALIZERS
    >>> build("init", "normal:0.05", INITIALIZERS)
    Normal(std=0.05, mean=0.0)
    """
    name, arguments, keywords = parse(spec)
    make = registry[check_choice(what, name, registry)]
    known = {key: p for key, p in options(make, len(first)).items() if key not in given}
    positional = dict(zip(known, arguments, strict=False))
    twice = positional.keys() & keywords.keys()
    for key in keywords.keys() & given.keys():
        raise ArgumentError(f"{what} {spec!r}: {key} has a key of its own; it does not belong here")
    named = positional | keywords
    missing = [key for key, p in known.items() if p.default is p.empty and key not in named]
    if len(arguments) > len(known) or twice or missing or not named.keys() <= known.keys():
        raise ArgumentError(f"{what} {spec!r} does not fit; it is used as {usage(name, known)}")
    for key, value in named.items():
        _check_type(f"{what} {spec!r}: {key}", value, known[key])
    return make(*first, **given, **named)


def options(make: Callable[..., Any], skip: int = 0) -> dict[str, inspect.Parameter]:
    """What a spec can say to `make`: its numbers, texts and truth values, and those of its base classes."""
    makers = [make]
    if inspect.isclass(make):
        makers = [vars(cls)["__init__"] for cls in make.__mro__[:-1] if "__init__" in vars(cls)]
        skip += 1
    found: dict[str, inspect.Parameter] = {}
    for maker in makers:
        parameters = list(inspect.signature(maker).parameters.values())
        for parameter in parameters[skip:]:
            if _kinds(parameter) and parameter.name not in found:
                found[parameter.name] = parameter
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return found


def usage(name: str, known: Mapping[str, inspect.Parameter]) -> str:
    """How an entry is written, with its defaults.

    >>> from minidrop.initializers import Uniform
    >>> usage("uniform", options(Uniform))
    'uniform:low=-0.1,high=0.1'
    """
    parts = [key if p.default is p.empty else f"{key}={_text(p.default)}" for key, p in known.items()]
    return f"{name}:{','.join(parts)}" if parts else name


def _kinds(parameter: inspect.Parameter) -> tuple[type, ...]:
    """The types of value that a spec may give for `parameter`; none for a variadic one."""
    if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
        return ()
    members = set(getattr(parameter.annotation, "__args__", (parameter.annotation,)))
    return tuple(kind for kind in (float, bool, str) if kind in members)


def _check_type(what: str, value: Any, parameter: inspect.Parameter) -> None:
    for kind in _kinds(parameter):
        if isinstance(value, kind) or (
            kind is float and isinstance(value, int) and not isinstance(value, bool)
        ):
            return
    words = {float: "a number", bool: "true or false", str: "a text"}
    expected = " or ".join(words[kind] for kind in _kinds(parameter))
    raise ArgumentError(f"{what} must be {expected}, got {_text(value)}")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

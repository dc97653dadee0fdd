"""The OpenAPI description as values for the reference's template."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.text import slugify

from studio.render import markdown

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, or a field of a body or answer."""

    name: str
    kind: str
    required: bool
    about: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    id: str
    method: str
    path: str
    summary: str
    about: str
    scope: str
    parameters: list[Field]
    body: list[Field]
    success: str
    answer: str
    problems: list[str]


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    anchor: str
    about: str
    fields: list[Field]


def groups(schema: Json) -> dict[str, list[Operation]]:
    """Return the operations by tag."""
    found: dict[str, list[Operation]] = {}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            found.setdefault(operation["tags"][0], []).append(_operation(schema, path, method, operation))
    return found


def models(schema: Json) -> list[Model]:
    """List the objects in answers and bodies, without those that only hold query parameters."""
    schemas = schema["components"]["schemas"]
    names = sorted(name for name, one in schemas.items() if one.get("type") == "object" and not name.endswith("Query"))
    return [_model(_plain(name), schemas[name]) for name in names]


def _model(name: str, one: Json) -> Model:
    return Model(name, slugify(name), markdown(one.get("description", "")), list(_fields(one)))


def _operation(schema: Json, path: str, method: str, operation: Json) -> Operation:
    success, *problems = sorted(operation["responses"])
    answer = _schema_of(operation["responses"][success])
    body = _schema_of(operation.get("requestBody", {}))
    name = body.get("$ref", "").rpartition("/")[2]
    return Operation(
        operation["operationId"],
        method.upper(),
        path,
        operation["operationId"].replace("_", " ").capitalize(),
        markdown(operation.get("description", "")),
        operation.get("x-scope", ""),
        [_parameter(one) for one in operation["parameters"]],
        list(_fields(schema["components"]["schemas"][name])) if name else [],
        success,
        _kind(answer) if answer else "",
        problems,
    )


def _schema_of(part: Json) -> Json:
    found: Json = part.get("content", {}).get("application/json", {}).get("schema", {})
    return found


def _parameter(one: Json) -> Field:
    return Field(one["name"], _kind(one["schema"]), one["required"], _about(one["schema"]), one["in"])


def _fields(model: Json) -> Iterator[Field]:
    required = model.get("required", [])
    for name, one in model.get("properties", {}).items():
        yield Field(name, _kind(one), name in required, _about(one))


def _kind(one: Json) -> str:
    """Describe a JSON schema in a few words, e.g. `integer 1–200` or `list of Run`."""
    if "$ref" in one:
        return _plain(one["$ref"].rpartition("/")[2])
    if "anyOf" in one:
        return " or ".join(_kind(choice) for choice in one["anyOf"])
    if "enum" in one:
        return " | ".join(str(value) or '""' for value in one["enum"])
    if one.get("type") == "array":
        return f"list of {_kind(one['items'])}"
    kind = "date and time" if one.get("format") == "date-time" else str(one.get("type", "anything"))
    low, high = one.get("minimum"), one.get("maximum")
    # limits of a bigint tell a reader nothing
    return kind if low is None or high is None or abs(low) > 10**9 else f"{kind} {low}–{high}"


def _about(one: Json) -> str:
    """Return a field's description and its default."""
    default = one.get("default")
    parts = [one.get("description", ""), "" if default in (None, "", [], False) else f"default {default}"]
    return "; ".join(part for part in parts if part)


def _plain(name: str) -> str:
    """Write the name of a generic schema in words: `CountedPage_Thread_` is `CountedPage of Thread`."""
    kind, _, inner = name.rstrip("_").partition("_")
    return f"{kind} of {inner}" if inner else kind

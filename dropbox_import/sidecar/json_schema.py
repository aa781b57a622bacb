"""JSON Schemas for editors, from the models: without what only the models' maker would say."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def of_model(model: type[BaseModel], title: str) -> dict[str, Any]:
    """The schema of what a user may write."""
    made: dict[str, Any] = _tidy(model.model_json_schema(by_alias=True))
    return {"$schema": DIALECT, "title": title, **made}


def as_text(schema: dict[str, Any]) -> str:
    """The schema as the committed file holds it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _tidy(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_tidy(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs", "patternProperties"):
            made[key] = {name: _tidy(one) for name, one in value.items()}
        elif key == "anyOf":
            # A key that may be left out has None as its default; written, it must have a value.
            kinds = [_tidy(one) for one in value if one != {"type": "null"}]
            made |= kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        elif key == "title" or (key == "default" and (value is None or isinstance(value, dict))):
            continue
        else:
            made[key] = _tidy(value)
    return made

"""Checks the custom resources of standard input against the models of their kinds.

Prints a line for each: `ok`, or its first field that is missing, has another
type, or is not one of the model's.
"""

import sys

import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from cloudcoil.models.prometheus_operator.v1 import PrometheusRule, ServiceMonitor
from pydantic import ValidationError

MODELS = {model.__name__: model for model in (PrometheusRule, ScaledObject, ServiceMonitor)}


def unknown(given, kept, path):
    """The fields that a model has dropped, because it does not know them."""
    if isinstance(given, dict):
        for key, value in given.items():
            if key in kept:
                yield from unknown(value, kept[key], f"{path}.{key}")
            else:
                yield f"{path}.{key} is unknown"
    elif isinstance(given, list):
        for index, (one, other) in enumerate(zip(given, kept, strict=True)):
            yield from unknown(one, other, f"{path}[{index}]")


def problem(resource):
    kind = resource["kind"]
    try:
        parsed = MODELS[kind].model_validate(resource)
    except ValidationError as error:
        first = error.errors()[0]
        return ".".join(map(str, [kind, *first["loc"]])) + ": " + first["msg"]
    kept = parsed.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return next(unknown(resource, kept, kind), None)


for resource in yaml.safe_load_all(sys.stdin):
    print(problem(resource) or "ok")

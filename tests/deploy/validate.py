"""validate CHART [VALUES...] <rendered: checks what a chart gave.

The values are held against the chart's values.schema.json, each rendered object against Kubernetes' own schemas
(of the versions below). Prints every fault; exits 1 if there is one."""

import json
import sys

import jsonschema
import kubernetes_validate
import yaml

# The oldest that the chart is for and the newest that the package has.
VERSIONS = ["1.25.0", "1.37.0"]
# Kinds that an operator brings; Kubernetes' own schemas don't know them.
CUSTOM = {"ServiceMonitor"}


def value_faults(chart, files):
    with open(f"{chart}/values.schema.json") as file:
        check = jsonschema.Draft7Validator(json.load(file))
    for path in files:
        with open(path) as file:
            for error in check.iter_errors(yaml.safe_load(file)):
                yield f"{path}: {'.'.join(map(str, error.path))}: {error.message}"


def object_faults(document):
    name = f"{document.get('kind')} {document.get('metadata', {}).get('name')}"
    if document.get("kind") in CUSTOM:
        return
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{name} ({version}): {'.'.join(map(str, error.path))}: {error.message}"


def main():
    chart, *files = sys.argv[1:]
    faults = list(value_faults(chart, [f"{chart}/values.yaml", *files]))
    documents = sys.stdin.read().split("\n# Source: ")[1:]
    objects = 0
    for document in documents:
        name, _, text = document.partition("\n")
        if name.endswith("NOTES.txt"):
            continue
        for parsed in filter(None, yaml.safe_load_all(text)):
            objects += 1
            faults += object_faults(parsed)
    print("\n".join(faults) or f"{objects} objects are valid")
    sys.exit(1 if faults else 0)


main()

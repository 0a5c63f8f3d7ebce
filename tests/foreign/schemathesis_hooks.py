"""Keeps Schemathesis from ending the token that it uses: it would go on as nobody. It finds the token in the list."""

import functools
import json
import os
import urllib.request

import schemathesis


@functools.cache
def own_token():
    request = urllib.request.Request(
        os.environ["FORGE_RCA_URL"] + "/v1/tokens",
        headers={"Authorization": "Bearer " + os.environ["FORGE_RCA_TOKEN"]},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        tokens = json.load(answer)["items"]
    return min(tokens, key=lambda token: token["created_at"])["id"]


@schemathesis.hook
def before_call(context, case, kwargs):
    own = own_token()
    if case.operation.path == "/v1/tokens/{id}" and (case.path_parameters or {}).get("id") == own:
        case.path_parameters["id"] = "the-token-in-use"

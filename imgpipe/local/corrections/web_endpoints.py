"""Functions behind the web: function URLs without a signature, and HTTP APIs made in one call.

Faults of stock ministack: with authorisation on, a URL of AuthType NONE wants a signed request
like any other; CreateApi with a target makes neither the integration nor the route nor the stage.

AWS's rules: whoever asks a URL of AuthType NONE gets through if the function's own policy lets
everybody in, else 403 Forbidden; a target is integrated as a proxy, behind the route `$default`
and on the stage `$default`."""

from __future__ import annotations

import json
from typing import Any

from ministack import app
from ministack.services import lambda_svc

from imgpipe.local.corrections import lazily

Answer = Any

FORBIDDEN = (
    403,
    {"Content-Type": "application/json", "x-amzn-ErrorType": "AccessDeniedException"},
    json.dumps({"Message": "Forbidden"}).encode(),
)
AUTH_TYPE = "lambda:FunctionUrlAuthType"


def lets_everybody_in(policy: dict[str, Any]) -> bool:
    """Return whether a function's policy opens its URL to all."""
    for statement in policy.get("Statement") or []:
        wanted = (statement.get("Condition") or {}).get("StringEquals") or {}
        if (
            statement.get("Effect") == "Allow"
            and statement.get("Principal") in ("*", {"AWS": "*"})
            and statement.get("Action") == "lambda:InvokeFunctionUrl"
            and wanted.get(AUTH_TYPE, "NONE") == "NONE"
        ):
            return True
    return False


def _enforce(service: str, action: str, *args: Any, **named: Any) -> Answer:
    context = named.get("service_context") or {}
    if action != "lambda:InvokeFunctionUrl" or context.get(AUTH_TYPE) != "NONE":
        return _stock_enforce(service, action, *args, **named)
    region, account, _, name = named["resource_arn"].split(":")[3:7]
    record = lambda_svc._functions.get_scoped(account, region, name) or {}
    return None if lets_everybody_in(record.get("policy") or {}) else FORBIDDEN


def _making_whole_apis(apigateway: Any) -> None:
    """Have CreateApi make what its target needs."""
    stock = apigateway._create_api

    def create(data: dict[str, Any]) -> Answer:
        answer = stock(data)
        if answer[0] < 300 and data.get("target"):
            api = json.loads(answer[2])["apiId"]
            proxy = {"integrationType": "AWS_PROXY", "integrationUri": data["target"]}
            made = json.loads(apigateway._create_integration(api, proxy)[2])
            route = {"routeKey": data.get("routeKey") or "$default"}
            target = f"integrations/{made['integrationId']}"
            apigateway._create_route(api, {**route, "target": target})
            apigateway._create_stage(api, {"stageName": "$default", "autoDeploy": True})
        return answer

    apigateway._create_api = create


_stock_enforce = app._enforce_data_plane


def install() -> None:
    app._enforce_data_plane = _enforce
    lazily.when_loaded("apigateway", _making_whole_apis)

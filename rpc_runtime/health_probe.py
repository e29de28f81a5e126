"""``python -m rpc_runtime.health_probe HOST:PORT [SERVICE]``: exit status 0 when it is SERVING, 1 when not."""

from __future__ import annotations

import sys

import grpc
from grpc_health.v1 import health, health_pb2

_TIMEOUT_S = 5.0


def main(arguments: list[str]) -> int:
    """Asks once; says on standard error why it is not serving."""
    if not 1 <= len(arguments) <= 2:
        sys.stderr.write("usage: python -m rpc_runtime.health_probe HOST:PORT [SERVICE]\n")
        return 2
    service = arguments[1] if len(arguments) == 2 else ""
    with grpc.insecure_channel(arguments[0]) as channel:
        try:
            check = channel.unary_unary(
                f"/{health.SERVICE_NAME}/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            answer = check(health_pb2.HealthCheckRequest(service=service), timeout=_TIMEOUT_S)
        except grpc.RpcError as error:
            sys.stderr.write(f"{arguments[0]}: {error}\n")
            return 1
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        sys.stderr.write(f"{arguments[0]}: {health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

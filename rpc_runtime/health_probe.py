"""``python -m rpc_runtime.health_probe HOST:PORT [NAME]``: exit status 0 when it is SERVING, 1 when not, 2 bad usage.

Health is asked without a token. A server with TLS is asked with ``--ca-file``, one with mutual TLS with a certificate.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2

from rpc_runtime.credentials import channel_credentials

_TIMEOUT_S = 5.0


def main(arguments: list[str]) -> int:
    """Asks once; says on standard error why it is not serving."""
    parser = argparse.ArgumentParser(prog="python -m rpc_runtime.health_probe", allow_abbrev=False)
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument(
        "name", metavar="NAME", nargs="?", default="", help="a service or a component; none: the server"
    )
    parser.add_argument("--ca-file", type=Path, metavar="PEM", help="asks over TLS")
    parser.add_argument("--cert-file", type=Path, metavar="PEM", help="shown to the server, with --key-file")
    parser.add_argument("--key-file", type=Path, metavar="PEM")
    given = parser.parse_args(arguments)
    try:
        credentials = channel_credentials(given.ca_file, given.cert_file, given.key_file)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    with _channel(given.address, credentials) as channel:
        try:
            check = channel.unary_unary(
                f"/{health.SERVICE_NAME}/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            answer = check(health_pb2.HealthCheckRequest(service=given.name), timeout=_TIMEOUT_S)
        except grpc.RpcError as error:
            sys.stderr.write(f"{given.address}: {error}\n")
            return 1
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        sys.stderr.write(f"{given.address}: {health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}\n")
        return 1
    return 0


def _channel(address: str, credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
    return grpc.insecure_channel(address) if credentials is None else grpc.secure_channel(address, credentials)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

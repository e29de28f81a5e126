"""A plugin for buf: the Python modules of protos with their types, and ``_pb2_grpc`` where a proto has a service.

The generator of the latter is built into ``grpc_tools.protoc``, where buf cannot reach it, and writes empty modules for
protos without services. So this plugin hands protoc the descriptors that it got. Reads a CodeGeneratorRequest from
standard input, writes the response to standard output. Raises CalledProcessError when protoc fails, which says why on
standard error.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet

PROTOC_TIMEOUT_S = 120


def response_to(request: CodeGeneratorRequest) -> CodeGeneratorResponse:
    """The modules of the protos that are asked for."""
    asked = [proto for proto in request.proto_file if proto.name in set(request.file_to_generate)]
    response = CodeGeneratorResponse(supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        descriptors = out / "descriptors.binpb"
        descriptors.write_bytes(FileDescriptorSet(file=map(as_written, request.proto_file)).SerializeToString())
        _run_protoc(descriptors, out, ("python", "mypy"), asked)
        _run_protoc(descriptors, out, ("grpc_python", "mypy_grpc"), [proto for proto in asked if proto.service])
        for path in sorted(out.rglob("*.py*")):
            response.file.add(name=path.relative_to(out).as_posix(), content=path.read_text(encoding="utf-8"))
    return response


def as_written(proto: FileDescriptorProto) -> FileDescriptorProto:
    """The proto without the JSON names that follow from its fields' names. Plugins get these; protoc keeps them out of
    the descriptors in modules, and importing a module takes the longer the more it holds.
    """
    bare = FileDescriptorProto()
    bare.CopyFrom(proto)
    for message in bare.message_type:
        _drop_json_names(message)
    return bare


def _drop_json_names(message: DescriptorProto) -> None:
    for field in message.field:
        if field.json_name == re.sub(r"_+(.?)", lambda found: found[1].upper(), field.name):
            field.ClearField("json_name")
    for nested in message.nested_type:
        _drop_json_names(nested)


def _run_protoc(descriptors: Path, out: Path, kinds: tuple[str, str], protos: list[FileDescriptorProto]) -> None:
    """Runs a generator and that of its types."""
    if not protos:
        return
    modules, types = kinds
    command = [
        *(sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_in={descriptors}"),
        f"--plugin=protoc-gen-{types}={Path(sys.executable).with_name(f'protoc-gen-{types}')}",
        f"--{modules}_out={out}",
        f"--{types}_out=quiet:{out}",
        *(proto.name for proto in protos),
    ]
    subprocess.run(command, check=True, timeout=PROTOC_TIMEOUT_S, stdout=sys.stderr)


if __name__ == "__main__":
    sys.stdout.buffer.write(response_to(CodeGeneratorRequest.FromString(sys.stdin.buffer.read())).SerializeToString())

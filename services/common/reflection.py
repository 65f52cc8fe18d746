"""Server reflection in both versions that clients speak.

grpcio-reflection ships v1alpha only. v1 is the same messages under another
package name, so its file is derived from v1alpha's and its calls are answered
by the same servicer: on the wire the two do not differ.
"""

from collections.abc import Iterable

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import _async, reflection_pb2, reflection_pb2_grpc

V1ALPHA = "grpc.reflection.v1alpha"
V1 = "grpc.reflection.v1"


def _register_v1_file(pool: descriptor_pool.DescriptorPool) -> None:
    renamed = descriptor_pb2.FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(renamed)
    renamed.name = "grpc/reflection/v1/reflection.proto"
    renamed.package = V1
    for message in renamed.message_type:
        for field in message.field:
            if field.type_name:  # even an empty one would count as set
                field.type_name = field.type_name.replace(f".{V1ALPHA}.", f".{V1}.")
    for method in renamed.service[0].method:
        method.input_type = method.input_type.replace(f".{V1ALPHA}.", f".{V1}.")
        method.output_type = method.output_type.replace(f".{V1ALPHA}.", f".{V1}.")
    pool.Add(renamed)


def add_reflection(service_names: Iterable[str], server: grpc.aio.Server) -> None:
    """Let clients list and describe the services, by grpc.reflection.v1 and v1alpha."""
    pool = descriptor_pool.Default()
    try:
        pool.FindFileByName("grpc/reflection/v1/reflection.proto")
    except KeyError:
        _register_v1_file(pool)
    names = [*service_names, f"{V1}.ServerReflection", f"{V1ALPHA}.ServerReflection"]
    servicer = _async.ReflectionServicer(names, pool)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(  # type: ignore[no-untyped-call]
        servicer, server
    )
    info = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(
                f"{V1}.ServerReflection", {"ServerReflectionInfo": info}
            )
        ]
    )

"""A schema with the features of google.api.http that Vitrina's own services do not use.

It lives in a pool of its own, as the transcoder must not depend on the default one.
"""

import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

import google.api
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from grpc_tools import protoc

PROTO = """
syntax = "proto3";
package example.v1;
import "google/api/annotations.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; COLOR_DARK = -3; }

message Part { string name = 1; int32 size_mm = 2; Part part = 3; }

message Everything {
  double a_double = 1;
  float a_float = 2;
  int32 an_int32 = 3;
  int64 an_int64 = 4;
  uint32 a_uint32 = 5;
  uint64 a_uint64 = 6;
  sint32 a_sint32 = 7;
  fixed64 a_fixed64 = 8;
  bool a_bool = 9;
  string a_string = 10;
  bytes some_bytes = 11;
  Color color = 12;
  optional int32 maybe = 13;
  Part part = 14;
  repeated string words = 15;
  repeated int64 numbers = 16;
  repeated Color colors = 17;
  repeated Part parts = 18;
  google.protobuf.Timestamp time = 19;
  google.protobuf.Duration duration = 20;
  google.protobuf.FieldMask mask = 21;
  google.protobuf.StringValue maybe_string = 22;
  google.protobuf.Int64Value maybe_int64 = 23;
  google.protobuf.BoolValue maybe_bool = 24;
  map<string, string> labels = 25;
  map<int32, Part> parts_by_number = 26;
  map<bool, double> by_bool = 27;
  google.protobuf.Struct tree = 28;
  google.protobuf.Value anything = 29;
  google.protobuf.ListValue list = 30;
  google.protobuf.Any any = 31;
  oneof choice { string left = 32; int32 right = 33; Part both = 34; }
  string odd_name = 35 [json_name = "strange"];
  google.protobuf.NullValue nothing = 36;
  repeated google.protobuf.Duration durations = 37;
  repeated google.protobuf.Value anythings = 38;
  google.protobuf.Empty empty = 39;
  repeated bool bools = 40;
}

service Examples {
  rpc Get(Everything) returns (Everything) {
    option (google.api.http) = {
      get: "/v1/{part.name=shelves/*}/things"
      additional_bindings { get: "/v1/files/{a_string=**}" response_body: "part" }
      additional_bindings { get: "/v1/files/{a_string=**}:size" response_body: "words" }
      additional_bindings { get: "/v1/numbers/{an_int64}/{a_bool}/{color}/{time}" }
    };
  }
  rpc Purge(Everything) returns (Everything) {
    option (google.api.http) = { custom { kind: "PURGE" path: "/v1/things/{a_string}" } };
  }
  rpc Anyhow(Everything) returns (Everything) {
    option (google.api.http) = { custom { kind: "*" path: "/v1/anyhow" } };
  }
  rpc Put(Everything) returns (Everything) {
    option (google.api.http) = {
      put: "/v1/things/{part.part.name}"
      body: "*"
      additional_bindings { patch: "/v1/things/{part.name}" body: "part" }
      additional_bindings { post: "/v1/words" body: "words" }
      additional_bindings { post: "/v1/labels" body: "labels" }
      additional_bindings { post: "/v1/moments/{time}" body: "*" }
      additional_bindings { post: "/v1/choices/{right}" body: "*" }
      additional_bindings { post: "/v1/maybes/{maybe}" body: "*" }
    };
  }
  rpc Hidden(Everything) returns (Everything);
  rpc Watch(Part) returns (stream Part) {
    option (google.api.http) = { get: "/v1/watch" };
  }
}
"""


def compile_schema(proto: str) -> descriptor_pool.DescriptorPool:
    """Compile the text of a .proto file that imports well-known types and annotations."""
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder, "example.proto"), Path(folder, "set")
        source.write_text(proto)
        includes = [
            folder,
            str(resources.files("grpc_tools") / "_proto"),
            str(Path(next(iter(google.api.__path__))).parent.parent),
        ]
        arguments = ["protoc", *(f"-I{include}" for include in includes), "--include_imports"]
        code: Any = protoc.main([*arguments, f"--descriptor_set_out={output}", str(source)])
        assert code == 0
        files = descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool


POOL = compile_schema(PROTO)
EXAMPLES: ServiceDescriptor = POOL.FindServiceByName("example.v1.Examples")
Everything: type[Message] = message_factory.GetMessageClass(
    POOL.FindMessageTypeByName("example.v1.Everything")
)
Part: type[Message] = message_factory.GetMessageClass(POOL.FindMessageTypeByName("example.v1.Part"))

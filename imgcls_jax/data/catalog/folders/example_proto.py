"""The image and the label of a `tf.train.Example`, read without TensorFlow.

Its messages are those of tensorflow/core/example/example.proto, less the lists of floats, which
nothing here reads. TFDS has them too, but importing it costs half a second.
"""

import functools
from typing import Any

_SCHEMA = """
name: "imgcls_jax/example.proto" package: "imgcls_jax" syntax: "proto3"
message_type {
  name: "Example"
  field { name: "features" number: 1 label: LABEL_OPTIONAL type_name: "Features" }
}
message_type {
  name: "Features"
  field { name: "feature" number: 1 label: LABEL_REPEATED type_name: "FeatureEntry" }
  nested_type {
    name: "FeatureEntry" options { map_entry: true }
    field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
    field { name: "value" number: 2 label: LABEL_OPTIONAL type_name: "Feature" }
  }
}
message_type {
  name: "Feature"
  field { name: "bytes_list" number: 1 label: LABEL_OPTIONAL type_name: "BytesList" }
  field { name: "int64_list" number: 3 label: LABEL_OPTIONAL type_name: "Int64List" }
}
message_type {
  name: "BytesList"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES }
}
message_type {
  name: "Int64List"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 }
}
"""


def read(record: bytes, *, image: str, label: str) -> tuple[bytes, int]:
    """Returns the content of the image's file and the label of a record.

    Raises:
      ValueError: the record is no Example, or has not one image and one label of these names.
    """
    try:
        found = _example().FromString(record).features.feature
    except Exception as error:  # protobuf has an implementation in C and one in Python
        raise ValueError("a record is no tf.train.Example") from error
    contents = found[image].bytes_list.value if image in found else ()
    labels = found[label].int64_list.value if label in found else ()
    if len(contents) != 1 or len(labels) != 1:
        listed = ", ".join(sorted(found)) or "nothing"
        raise ValueError(f"a record has not one {image!r} and one {label!r} but {listed}")
    return contents[0], labels[0]


@functools.cache
def _example() -> Any:
    """Returns the class of Example, of a pool of its own beside TensorFlow's."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

    pool = descriptor_pool.DescriptorPool()
    pool.Add(text_format.Parse(_SCHEMA, descriptor_pb2.FileDescriptorProto()))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("imgcls_jax.Example"))

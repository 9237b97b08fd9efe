// ProtobufEncoder: a batch of spans as the bytes of an OTLP ExportTraceServiceRequest.
//
// One ResourceSpans, a ScopeSpans for each instrumentation scope, spans in batch order. Fields that say
// nothing (empty, zero) are left out, as proto3 does. Text that is not UTF-8, which a protobuf string must
// be, gets U+FFFD in place of what is wrong and is counted once per string (invalid_utf8). The memory is kept
// from batch to batch: in the steady state nothing is allocated. encode() may throw std::bad_alloc. One
// thread.
//
// Never written, because nothing in a span's record has them: ResourceSpans.schema_url,
// Resource.dropped_attributes_count and entity_refs, InstrumentationScope.attributes and
// dropped_attributes_count, and of AnyValue kvlist_value and bytes_value (and an array in an array). Of the
// flags only the W3C bits and the two of OTLP; what they mean in this process stays here. `kind` is never
// unspecified, and a status that is unset is no message at all.
//
// Source: OTLP trace.proto, 1.11.0; conventions 9.3.
#pragma once

#include <string>
#include <string_view>

#include <midtrace/export/exporter.h>

#include "byte_buffer.h"

namespace midtrace {
inline namespace v1 {
namespace otlp {

class ProtobufEncoder {
 public:
  // The view lives until the next call.
  std::string_view encode(const ExportBatch& batch);
  // Gives memory back that one batch of huge spans has grown.
  void trim() noexcept;

  // A text with every byte sequence that is not UTF-8 replaced, which is counted; the text itself where
  // there is none, `scratch` otherwise.
  static std::string_view valid_utf8(std::string_view text, std::string& scratch);

 private:
  ByteBuffer bytes_;
  std::string key_scratch_;
  std::string value_scratch_;
};

}  // namespace otlp
}  // namespace v1
}  // namespace midtrace

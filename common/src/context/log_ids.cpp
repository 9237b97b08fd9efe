#include <midtrace/context/log_ids.h>

#include "hex.h"

namespace midtrace {
inline namespace v1 {

LogIds::LogIds(const SpanContext& context) noexcept : valid_(context.valid()) {
  if (!valid_) return;
  hex::write(context.trace_id.high, text_);
  hex::write(context.trace_id.low, text_ + 16);
  hex::write(context.span_id.value, text_ + 32);
  const unsigned flags = context.flags.bits & TraceFlags::wire_bits;
  text_[48] = hex::digit_text(flags >> 4U);
  text_[49] = hex::digit_text(flags & 0xFU);
}

LogIds current_log_ids() noexcept { return LogIds(Context::current().span); }

}  // namespace v1
}  // namespace midtrace

#include <midtrace/context/ids.h>

#include "hex.h"

namespace midtrace {
inline namespace v1 {

std::array<char, 32> TraceId::hex() const noexcept {
  std::array<char, 32> text;
  hex::write(high, text.data());
  hex::write(low, text.data() + 16);
  return text;
}

std::string TraceId::to_string() const {
  const auto text = hex();
  return std::string(text.data(), text.size());
}

std::optional<TraceId> TraceId::from_hex(std::string_view text) noexcept {
  if (text.size() != 32) return std::nullopt;
  hex::Reader reader;
  TraceId id;
  id.high = reader.read_16(text.data());
  id.low = reader.read_16(text.data() + 16);
  if (!reader.valid() || !id.valid()) return std::nullopt;
  return id;
}

std::array<char, 16> SpanId::hex() const noexcept {
  std::array<char, 16> text;
  hex::write(value, text.data());
  return text;
}

std::string SpanId::to_string() const {
  const auto text = hex();
  return std::string(text.data(), text.size());
}

std::optional<SpanId> SpanId::from_hex(std::string_view text) noexcept {
  if (text.size() != 16) return std::nullopt;
  hex::Reader reader;
  SpanId id;
  id.value = reader.read_16(text.data());
  if (!reader.valid() || !id.valid()) return std::nullopt;
  return id;
}

}  // namespace v1
}  // namespace midtrace

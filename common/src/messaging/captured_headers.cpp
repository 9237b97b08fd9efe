#include "captured_headers.h"

#include <algorithm>

#include "../trace/glob.h"
#include "text.h"

namespace midtrace {
inline namespace v1 {
namespace messaging {

namespace {

constexpr std::string_view attribute_prefix = "messaging.header.";

// In small letters; whatever case they come in.
constexpr std::string_view propagation_headers[] = {"traceparent", "tracestate",    "baggage",   "b3",
                                                    "x-b3-*",      "uber-trace-id", "uberctx-*", "jaeger-*"};

bool is_propagation_header(std::string_view name) noexcept {
  std::array<char, max_header_name_bytes> small;
  std::transform(name.begin(), name.end(), small.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const std::string_view lower(small.data(), name.size());
  return std::any_of(std::begin(propagation_headers), std::end(propagation_headers),
                     [lower](std::string_view pattern) { return matches_glob(lower, pattern); });
}

bool matches_any(std::span<const std::string> patterns, std::string_view name) noexcept {
  return std::any_of(patterns.begin(), patterns.end(),
                     [name](const std::string& pattern) { return matches_glob(name, pattern); });
}

}  // namespace

bool captures_header(std::span<const std::string> captured, std::span<const std::string> excluded,
                     std::string_view name) noexcept {
  return !name.empty() && name.size() <= max_header_name_bytes && matches_any(captured, name) &&
         !matches_any(excluded, name) && !is_propagation_header(name) && is_plain_text(name);
}

void CapturedHeaders::add(std::string_view name, std::string_view value) noexcept {
  if (full() || name.empty() || name.size() > max_header_name_bytes ||
      value.size() > max_header_value_bytes || !is_plain_text(value)) {
    return;
  }
  names_[count_] = name;
  values_[count_++] = value;
}

void CapturedHeaders::write(Span& span) noexcept {
  for (std::size_t first = 0; first < count_; ++first) {
    if (names_[first].empty()) continue;  // written with an earlier one
    std::array<std::string_view, max_captured_headers> same;
    std::size_t found = 0;
    const std::string_view wanted = names_[first];
    for (std::size_t index = first; index < count_; ++index) {
      if (names_[index] != wanted) continue;
      same[found++] = values_[index];
      names_[index] = {};
    }
    std::array<char, attribute_prefix.size() + max_header_name_bytes> key;
    char* const end = std::copy(wanted.begin(), wanted.end(),
                                std::copy(attribute_prefix.begin(), attribute_prefix.end(), key.begin()));
    span.set(std::string_view(key.data(), static_cast<std::size_t>(end - key.data())),
             std::span<const std::string_view>(same.data(), found));
  }
}

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace

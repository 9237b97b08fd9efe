#include "captured_headers.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <vector>

#include "text.h"

#include "trace/glob.h"

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

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

bool matches_any(const std::vector<std::string>& patterns, std::string_view name) noexcept {
  return std::any_of(patterns.begin(), patterns.end(),
                     [name](const std::string& pattern) { return matches_glob(name, pattern); });
}

}  // namespace

bool captures_header(const Options& options, std::string_view name) noexcept {
  return !name.empty() && name.size() <= max_header_name_bytes &&
         matches_any(options.captured_headers, name) && !matches_any(options.excluded_headers, name) &&
         !is_propagation_header(name) && is_plain_text(name);
}

void describe_headers(const Client& client, const rd_kafka_message_t& message, Span& span) noexcept {
  const Options& options = client.options().user;
  if (options.captured_headers.empty() || !span.recording()) return;
  if (message.rkt == nullptr) return;  // refused by the client: not a message of librdkafka's own
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return;

  std::array<std::string_view, max_captured_headers> names;
  std::array<std::string_view, max_captured_headers> values;
  std::size_t count = 0;
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  for (std::size_t index = 0;
       index < max_scanned_headers && count < max_captured_headers &&
       rd_kafka_header_get_all(headers, index, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
       ++index) {
    if (value == nullptr || size > max_header_value_bytes || !captures_header(options, name)) continue;
    const std::string_view text(static_cast<const char*>(value), size);
    if (!is_plain_text(text)) continue;
    names[count] = name;
    values[count++] = text;
  }

  for (std::size_t first = 0; first < count; ++first) {
    if (names[first].empty()) continue;  // written with an earlier one
    std::array<std::string_view, max_captured_headers> same;
    std::size_t found = 0;
    const std::string_view wanted = names[first];
    for (std::size_t index = first; index < count; ++index) {
      if (names[index] != wanted) continue;
      same[found++] = values[index];
      names[index] = {};
    }
    std::array<char, attribute_prefix.size() + max_header_name_bytes> key;
    char* const end = std::copy(wanted.begin(), wanted.end(),
                                std::copy(attribute_prefix.begin(), attribute_prefix.end(), key.begin()));
    span.set(std::string_view(key.data(), static_cast<std::size_t>(end - key.data())),
             std::span<const std::string_view>(same.data(), found));
  }
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace

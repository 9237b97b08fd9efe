// OTEL_RESOURCE_ATTRIBUTES is taken whole or not at all; what is taken is UTF-8, and written again with every
// byte escaped it reads the same.
#include <string>
#include <string_view>
#include <variant>

#include "check.h"
#include "config/resource.h"
#include "export/utf8.h"

namespace {

std::string escaped(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    result += {'%', digits[byte >> 4U], digits[byte & 15U]};
  }
  return result;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view list = midtrace_fuzz::text_of(bytes, size);
  std::string error;
  const auto attributes = midtrace::parse_resource_attributes(list, error);
  FUZZ_CHECK(attributes.empty() == !error.empty());
  std::string again;
  for (const midtrace::ResourceAttribute& attribute : attributes) {
    const auto* const value = std::get_if<std::string>(&attribute.value);
    FUZZ_CHECK(value != nullptr && midtrace::is_utf8(*value));
    FUZZ_CHECK(!attribute.key.empty() && midtrace::is_utf8(attribute.key));
    again += (again.empty() ? "" : ",") + escaped(attribute.key) + "=" + escaped(*value);
  }
  for (const char c : error)
    FUZZ_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
  if (!attributes.empty()) {
    const auto read_again = midtrace::parse_resource_attributes(again, error);
    FUZZ_CHECK(error.empty() && read_again.size() == attributes.size());
    for (std::size_t i = 0; i < attributes.size(); ++i)
      FUZZ_CHECK(read_again[i].key == attributes[i].key && read_again[i].value == attributes[i].value);
  }
  return 0;
}

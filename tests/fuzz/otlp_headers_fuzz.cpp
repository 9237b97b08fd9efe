// Whatever OTEL_EXPORTER_OTLP_HEADERS holds, no header comes out of it that would break a request apart.
#include <string>
#include <string_view>

#include "check.h"
#include "settings.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view list = midtrace_fuzz::text_of(bytes, size);
  std::string error;
  const auto headers = midtrace::otlp::parse_headers(list, error);
  FUZZ_CHECK(error.empty() || headers.empty());
  for (const auto& header : headers) {
    FUZZ_CHECK(!header.name.empty() && header.name.size() + header.value.size() < size);
    for (const char c : header.name)
      FUZZ_CHECK(c > 0x20 && c < 0x7F && c != ':');
    for (const char c : header.value)
      FUZZ_CHECK(c != '\r' && c != '\n' && c != '\0');
  }
  return 0;
}

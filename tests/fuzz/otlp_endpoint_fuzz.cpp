// Whatever the OTLP endpoint is, spans go to an http or https URL that can be sent, or setup() fails with a
// sentence; and no password is in anything that is shown.
//
// The first character chooses the variable: `t` the one for traces, `b` the base for all signals, and in
// capitals with a user and a password in front of the rest, which is the value (without a scheme then).
#include <algorithm>
#include <string>
#include <string_view>

#include "check.h"
#include "settings.h"

namespace {

constexpr std::string_view password = "hunter2";

bool shows_password(const midtrace::otlp::Settings& settings) {
  bool shown = settings.shown_url.find(password) != std::string::npos ||
               settings.problem.find(password) != std::string::npos;
  for (const midtrace::Setting& setting : settings.described)
    shown = shown || setting.value.find(password) != std::string::npos;
  return shown;
}

bool is_printable(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

bool begins_in_any_case(std::string_view text, std::string_view beginning) {
  return midtrace::lower_case(text.substr(0, beginning.size())) == beginning;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view input = midtrace_fuzz::text_of(bytes, size);
  if (input.empty()) return 0;
  const bool is_base = input[0] == 'b' || input[0] == 'B';
  const bool has_password = input[0] == 'T' || input[0] == 'B';
  const std::string_view rest = input.substr(1);
  std::string value(rest.substr(0, rest.find('\0')));
  if (has_password) value = "http://user:" + std::string(password) + "@" + value;
  const std::string_view variable =
      is_base ? "OTEL_EXPORTER_OTLP_ENDPOINT" : "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
  const midtrace::Environment environment(
      [&](const char* name) { return name == variable ? value.c_str() : nullptr; },
      [](std::string_view, std::string_view) {});
  const midtrace::otlp::Settings settings = midtrace::otlp::make_settings({}, environment);

  if (settings.problem.empty()) {
    const bool http = begins_in_any_case(settings.url, "http://");
    FUZZ_CHECK(http || begins_in_any_case(settings.url, "https://"));
    FUZZ_CHECK(is_printable(settings.url) && settings.url.find(' ') == std::string::npos);
    FUZZ_CHECK(begins_in_any_case(settings.shown_url, http ? "http://" : "https://"));
    FUZZ_CHECK(settings.shown_url.find_first_of("?#") == std::string::npos);
    const std::string_view path = std::string_view(settings.url).substr(0, settings.url.find_first_of("?#"));
    FUZZ_CHECK(!is_base || path.ends_with("/v1/traces"));
    const std::string_view set = midtrace::trimmed(value);
    FUZZ_CHECK(is_base || set.empty() || settings.url == set);
  } else {
    FUZZ_CHECK(settings.url.empty() && settings.shown_url.empty());
    FUZZ_CHECK(is_printable(settings.problem));
  }
  // Where the input itself has the word, it may stand in the path.
  if (has_password && rest.find(password) == std::string_view::npos) FUZZ_CHECK(!shows_password(settings));
  return 0;
}

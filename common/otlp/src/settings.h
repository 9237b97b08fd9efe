// Settings: everything the exporter needs to send, decided and checked: code beats the environment, which
// beats the defaults.
//
// The one place where OTEL_EXPORTER_OTLP_* is read; a variable with TRACES_ in its name beats the general
// one. What cannot be used is reported and replaced, but for what would send spans to a wrong place or not at
// all: that is `problem`, a sentence for setup(). No header's value and no password of a URL is ever in a
// sentence. Cold; may throw std::bad_alloc. Any thread. Source: OpenTelemetry Protocol Exporter;
// conventions 8.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <midtrace/otlp/exporter.h>

#include "config/environment.h"

namespace midtrace {
inline namespace v1 {
namespace otlp {

struct Settings {
  std::string url;
  std::string shown_url;  // without user, password, query and fragment, for messages
  Protocol protocol = Protocol::http_protobuf;
  Compression compression = Compression::none;
  std::vector<std::string> header_lines;  // `name: value`, in order, each name once
  std::chrono::milliseconds timeout{10000};
  std::string certificate;
  std::string client_certificate;
  std::string client_key;
  RetryOptions retry;
  std::size_t request_bytes = 0;
  std::size_t response_bytes = 0;
  bool supported = true;  // false: a protocol that midtrace does not speak was asked for, which is reported
  std::string problem;    // not empty: nothing can be sent
  std::vector<Setting> described;  // for describe()
};

Settings make_settings(const ExporterOptions& options, const Environment& environment);

// Reads `name=value,name=value`, values percent-decoded. On an error the result is empty and `error` says
// what is wrong and where, without any value.
std::vector<Header> parse_headers(std::string_view list, std::string& error);

}  // namespace otlp
}  // namespace v1
}  // namespace midtrace

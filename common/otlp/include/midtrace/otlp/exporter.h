// The OTLP exporter: spans go to an OpenTelemetry Collector, or to whatever else speaks OTLP, over HTTP.
//
// A program that links midtrace::otlp needs none of this: OTEL_TRACES_EXPORTER=otlp, which is also what an
// unset variable means, then sends to http://localhost:4318, and OTEL_EXPORTER_OTLP_* says otherwise. In
// code:
//
//   auto telemetry = midtrace::setup({.exporters = {midtrace::otlp::exporter({
//       .endpoint = "https://collector.example/v1/traces",
//       .compression = midtrace::otlp::Compression::gzip,
//   })}});
//
// What the options leave open comes from the environment, then from the defaults. Redirects are not followed.
// A batch is sent again when there was no answer or when that was 429, 502, 503 or 504, after a growing,
// randomized pause or what Retry-After says, until BatchOptions::export_timeout is over or shutdown's
// deadline comes. What cannot be delivered is counted (Counter::export_lost_*) and reported at most once a
// minute per reason. Only the collector thread waits; the application's threads never do.
//
// What set-up can know to be wrong (an endpoint that is no HTTP URL, a certificate or key that cannot be
// read, a header that HTTP does not allow) turns tracing off and is in Telemetry::error(). Threads:
// exporter() may be called from any. Source: OTLP 1.x, OpenTelemetry Protocol Exporter; conventions 8 and 9.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <midtrace/export/exporter.h>

namespace midtrace {
inline namespace v1 {
namespace otlp {

enum class Protocol : std::uint8_t { http_protobuf, http_json };
enum class Compression : std::uint8_t { none, gzip };

struct Header {
  std::string name;
  std::string value;
};

// The pause before attempt n + 1 is first_pause * growth^(n-1), at most longest_pause, times a random factor
// from 0.8 to 1.2.
struct RetryOptions {
  std::uint32_t attempts = 5;  // in all; 1 never repeats
  std::chrono::milliseconds first_pause{1000};
  std::chrono::milliseconds longest_pause{5000};
  double growth = 1.5;
};

struct ExporterOptions {
  // The whole URL, used as it stands. Else OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, or OTEL_EXPORTER_OTLP_ENDPOINT
  // with v1/traces behind it, or http://localhost:4318/v1/traces.
  std::string endpoint = {};
  std::optional<Protocol> protocol = {};        // else ..._PROTOCOL, or http_protobuf
  std::optional<Compression> compression = {};  // else ..._COMPRESSION, or none
  std::vector<Header> headers = {};             // besides ..._HEADERS, and before those of the same name
  // For one attempt; 0 is no limit but the batch's deadline. Else ..._TIMEOUT, or 10 s.
  std::optional<std::chrono::milliseconds> timeout = {};
  // Paths of PEM files.
  std::string certificate = {};         // whom to trust. Else ..._CERTIFICATE, or the system's authorities
  std::string client_certificate = {};  // else ..._CLIENT_CERTIFICATE
  std::string client_key = {};          // else ..._CLIENT_KEY
  RetryOptions retry = {};
  // Uncompressed. What is larger is sent in several requests; a single span that is larger is lost.
  std::size_t request_bytes = 64U << 20U;
  std::size_t response_bytes = 4U << 20U;  // a larger answer is not read; the batch counts as lost
  bool read_environment = true;
};

// Never null, but for a protocol that midtrace does not speak (OTEL_EXPORTER_OTLP_PROTOCOL=grpc), which
// warns.
std::shared_ptr<Exporter> exporter(ExporterOptions options = {});

}  // namespace otlp
}  // namespace v1
}  // namespace midtrace

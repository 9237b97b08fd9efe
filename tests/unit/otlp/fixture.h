// Tracing with the OTLP exporter against an HttpServer, with every report kept.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <midtrace/otlp/exporter.h>
#include <midtrace/setup.h>
#include <midtrace/trace/counters.h>
#include <midtrace/trace/tracer.h>

#include "support/http_server.h"
#include "trace_request.pb.h"

namespace midtrace_test {

class KeptReports final : public midtrace::Logger {
 public:
  void log(midtrace::Severity, std::string_view message) noexcept override {
    const std::lock_guard guard(mutex_);
    messages_.emplace_back(message);
  }
  std::vector<std::string> messages() const {
    const std::lock_guard guard(mutex_);
    return messages_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> messages_;
};

// Pauses that a test can wait for.
inline midtrace::otlp::RetryOptions quick_retry(std::uint32_t attempts = 3) {
  return {.attempts = attempts,
          .first_pause = std::chrono::milliseconds(10),
          .longest_pause = std::chrono::milliseconds(20),
          .growth = 1.5};
}

class OtlpHttp : public ::testing::Test {
 protected:
  using Counter = midtrace::Counter;
  using HttpAnswer = midtrace::test::HttpAnswer;
  using HttpServer = midtrace::test::HttpServer;
  using Fault = HttpAnswer::Fault;

  ~OtlpHttp() override { stop(); }

  midtrace::Telemetry& start(midtrace::otlp::ExporterOptions exporter, midtrace::BatchOptions batch = {}) {
    exporter.read_environment = false;
    return start_with(midtrace::otlp::exporter(std::move(exporter)), batch);
  }
  midtrace::Telemetry& start_with(std::shared_ptr<midtrace::Exporter> exporter,
                                  midtrace::BatchOptions batch = {}) {
    before_ = midtrace::counters();
    midtrace::SetupOptions options;
    options.service_name = "test";
    options.exporters = {std::move(exporter)};
    options.batch = batch;
    options.sampler = midtrace::always_on_sampler();
    options.logger = reports_;
    options.exit_timeout = std::chrono::milliseconds(1000);
    options.read_environment = false;
    telemetry_ = midtrace::setup(std::move(options));
    return telemetry_;
  }
  // `url` with v1/traces behind it, quickly repeated.
  static midtrace::otlp::ExporterOptions to(const HttpServer& server) {
    midtrace::otlp::ExporterOptions options;
    options.endpoint = server.url() + "/v1/traces";
    options.retry = quick_retry();
    return options;
  }
  static void trace(int spans = 1, const char* name = "work") {
    const auto tracer = midtrace::Tracer::get("otlp_test");
    for (int i = 0; i < spans; ++i) {
      midtrace::Span span = tracer.start(name);
      span.set("number", i);
    }
  }
  bool flush() { return telemetry_.flush(std::chrono::seconds(30)); }
  void stop() { telemetry_ = midtrace::Telemetry(); }
  std::uint64_t counted(Counter counter) const { return midtrace::counters()[counter] - before_[counter]; }
  std::vector<std::string> reports() const { return reports_->messages(); }

  midtrace::Counters before_;
  std::shared_ptr<KeptReports> reports_ = std::make_shared<KeptReports>();
  midtrace::Telemetry telemetry_;
};

inline std::vector<std::string> span_names(const std::string& body) {
  otlp::ExportTraceServiceRequest request;
  EXPECT_TRUE(request.ParseFromString(body));
  std::vector<std::string> names;
  for (const auto& resource : request.resource_spans()) {
    for (const auto& scope : resource.scope_spans()) {
      for (const auto& span : scope.spans())
        names.push_back(span.name());
    }
  }
  return names;
}

inline std::string unzipped(const std::string& bytes) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  std::string out(1U << 20U, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

}  // namespace midtrace_test

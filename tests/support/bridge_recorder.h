// BridgeRecorder: testing::Recorder's counterpart for spans that go through the bridge into the SDK of
// opentelemetry-cpp. One provider with a simple processor and an exporter in memory; spans come back as the
// test kit's OwnedSpan, so that the same golden trees serve both.
//
// Of RecorderOptions it takes the sampler, and of that only whether there is one: then it follows the
// parent, and a root follows its only link. Trees are drawn as if all spans began at once, as under the
// Recorder's clock.
#ifndef MIDTRACE_TESTS_SUPPORT_BRIDGE_RECORDER_H_
#define MIDTRACE_TESTS_SUPPORT_BRIDGE_RECORDER_H_

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <midtrace/otel_bridge.h>
#include <midtrace/testing/testing.h>

#include <opentelemetry/sdk/trace/sampler.h>
#include <opentelemetry/trace/tracer.h>

namespace midtrace::test {

class BridgeRecorder {
 public:
  explicit BridgeRecorder(const testing::RecorderOptions& options = {});
  explicit BridgeRecorder(std::unique_ptr<opentelemetry::sdk::trace::Sampler> sampler);
  ~BridgeRecorder();

  // Everything that ended so far, flushed.
  std::vector<testing::OwnedSpan> spans();
  std::string tree(const testing::TreeOptions& options = {});
  Counters counters() const;

  otel_bridge::TracerProviderPointer provider() const { return provider_; }
  // As the application would have one.
  opentelemetry::nostd::shared_ptr<opentelemetry::trace::Tracer> tracer() const;
  otel_bridge::Bridge& bridge() { return bridge_; }

  class Exporter;

 private:
  std::shared_ptr<std::vector<testing::OwnedSpan>> spans_;
  std::shared_ptr<std::mutex> mutex_;
  otel_bridge::TracerProviderPointer provider_;
  otel_bridge::Bridge bridge_;
  Counters at_start_;
};

}  // namespace midtrace::test

#endif  // MIDTRACE_TESTS_SUPPORT_BRIDGE_RECORDER_H_

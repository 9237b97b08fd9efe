#include <atomic>
#include <stdexcept>
#include <utility>

#include <midtrace/testing/testing.h>

namespace midtrace {
inline namespace v1 {
namespace testing {

namespace {

constinit std::atomic<bool> recording{false};

}  // namespace

Recorder::Recorder(RecorderOptions options)
    : exporter_(std::make_shared<MemoryExporter>()),
      clock_(std::make_shared<ManualClock>()),
      at_start_(midtrace::counters()) {
  if (recording.exchange(true)) {
    throw std::logic_error("a Recorder lives already; end it before the next one begins");
  }
  SetupOptions setup_options;
  setup_options.service_name = std::move(options.service_name);
  setup_options.sampler = options.sampler != nullptr ? std::move(options.sampler) : always_on_sampler();
  setup_options.propagator = std::move(options.propagator);
  setup_options.limits = options.limits;
  setup_options.batch = options.batch;
  setup_options.processors = std::move(options.processors);
  setup_options.exporters.push_back(exporter_);
  for (std::shared_ptr<Exporter>& exporter : options.more_exporters) {
    setup_options.exporters.push_back(std::move(exporter));
  }
  if (!options.real_clock) setup_options.clock = clock_;
  if (!options.random_ids) setup_options.ids = std::make_shared<SequentialIds>();
  setup_options.detectors = ResourceDetectors{.process = false, .host = false, .container = false};
  setup_options.read_environment = false;
  telemetry_ = setup(std::move(setup_options));
  if (!telemetry_.ok()) {
    recording.store(false);
    throw std::runtime_error(telemetry_.error());
  }
}

Recorder::~Recorder() {
  telemetry_.shutdown();
  recording.store(false);
}

std::vector<OwnedSpan> Recorder::spans() {
  telemetry_.flush();
  return exporter_->spans();
}

std::string Recorder::tree(const TreeOptions& options) { return span_tree(spans(), options); }

void Recorder::clear() {
  telemetry_.flush();
  exporter_->clear();
}

Counters Recorder::counters() const {
  Counters now = midtrace::counters();
  for (std::size_t i = 0; i < now.values.size(); ++i)
    now.values[i] -= at_start_.values[i];
  return now;
}

}  // namespace testing
}  // namespace v1
}  // namespace midtrace

// What tracing allocates on an application's threads: nothing.
#include <array>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include <midtrace/propagation/propagator.h>
#include <midtrace/setup.h>
#include <midtrace/trace/rate_limiting_sampler.h>
#include <midtrace/trace/rule_based_sampler.h>
#include <midtrace/trace/tracer.h>

#include "support/allocations.h"
#include "test_exporters.h"

namespace midtrace {
namespace {

using test::allocations_of_this_thread;

Tracer tracer() {
  static const Tracer made = Tracer::get("allocation_test");
  return made;
}

struct Traced {
  explicit Traced(std::shared_ptr<Sampler> sampler) {
    SetupOptions options;
    options.exporters.push_back(exporter);
    options.sampler = std::move(sampler);
    options.read_environment = false;
    telemetry = setup(std::move(options));
  }
  std::shared_ptr<midtrace_test::CountingExporter> exporter =
      std::make_shared<midtrace_test::CountingExporter>();
  Telemetry telemetry;
};

void make_span(const Tracer& with, std::string_view topic) {
  constexpr AttributeKey<std::string_view> system{"messaging.system"};
  constexpr AttributeKey<std::string_view> destination{"messaging.destination.name"};
  constexpr AttributeKey<std::int64_t> offset{"messaging.kafka.offset"};
  constexpr AttributeKey<double> wait{"wait"};
  constexpr AttributeKey<bool> again{"again"};
  Span span = with.start("send orders", {.kind = SpanKind::producer});
  const Scope scope = span.activate();
  span.set(system, "kafka");
  span.set(destination, topic);
  span.set(offset, 17);
  span.set(wait, 0.5);
  span.set(again, true);
  span.set("plain.key", 1);
  span.set("plain.text", topic);
  span.set_lazy(destination, [topic] { return topic; });
  span.add_event("event", {{"key", topic}});
  span.add_link({span.context()});
  span.set_status(StatusCode::error, topic);
}

TEST(Allocations, are_counted) {
  const std::uint64_t before = allocations_of_this_thread();
  const auto* number = new int(1);
  EXPECT_EQ(allocations_of_this_thread() - before, 1U);
  delete number;
  const std::string text(100, 'x');
  EXPECT_EQ(allocations_of_this_thread() - before, 2U);
}

TEST(Allocations, of_an_unsampled_span_are_none) {
  const Traced traced(always_off_sampler());
  const std::string topic = "a topic whose name is longer than any small string";
  make_span(tracer(), topic);
  const std::uint64_t before = allocations_of_this_thread();
  for (int i = 0; i < 1000; ++i)
    make_span(tracer(), topic);
  EXPECT_EQ(allocations_of_this_thread() - before, 0U);
}

TEST(Allocations, of_what_a_probability_sampler_decides_are_none) {
  for (const double ratio : {0.0, 1.0}) {
    Traced traced(parent_based_sampler({.root = probability_sampler(ratio)}));
    for (int i = 0; i < 3; ++i) {
      make_span(tracer(), "topic");
      EXPECT_TRUE(traced.telemetry.flush());
    }
    const std::uint64_t before = allocations_of_this_thread();
    make_span(tracer(), "topic");
    EXPECT_EQ(allocations_of_this_thread() - before, 0U) << ratio;
  }
}

TEST(Allocations, of_an_unsampled_child_are_none_whatever_its_parent_hands_down) {
  const Traced traced(parent_based_sampler({.root = probability_sampler(0.5)}));
  Context parent;
  parent.span.trace_id = {1, 2};
  parent.span.span_id = {3};
  parent.span.remote = true;
  parent.span.trace_state = TraceState::parse("a=b,ot=rv:00000000000001;x:1");
  const auto child = [&parent] {
    Span span = tracer().start("child", {.parent = &parent});
    EXPECT_FALSE(span.recording());
  };
  child();
  const std::uint64_t before = allocations_of_this_thread();
  for (int i = 0; i < 1000; ++i)
    child();
  EXPECT_EQ(allocations_of_this_thread() - before, 0U);
}

TEST(Allocations, of_a_rule_or_a_rate_that_drops_are_none) {
  RuleBasedOptions options;
  options.rules = {{.name = "send *", .attributes = {{"user.id", "x"}}, .action = always_off_sampler()}};
  const std::shared_ptr<Sampler> samplers[] = {rule_based_sampler(std::move(options)),
                                               rate_limiting_sampler({.traces_per_second = 0})};
  for (const std::shared_ptr<Sampler>& sampler : samplers) {
    const Traced traced(sampler);
    const std::array<Attribute, 2> attributes{{{"other", 1}, {"user.id", "x"}}};
    const auto drop = [&attributes] {
      EXPECT_FALSE(tracer().start("send orders", {.attributes = attributes}).recording());
    };
    drop();
    const std::uint64_t before = allocations_of_this_thread();
    for (int i = 0; i < 1000; ++i)
      drop();
    EXPECT_EQ(allocations_of_this_thread() - before, 0U) << sampler->description();
  }
}

TEST(Allocations, without_set_up_are_none) {
  make_span(tracer(), "topic");
  const std::uint64_t before = allocations_of_this_thread();
  for (int i = 0; i < 1000; ++i)
    make_span(tracer(), "topic");
  EXPECT_EQ(allocations_of_this_thread() - before, 0U);
}

TEST(Allocations, of_a_sampled_span_are_none_once_the_pool_has_what_it_needs) {
  Traced traced(always_on_sampler());
  const std::string topic = "a topic whose name is longer than any small string";
  const std::string long_text(3000, 'x');
  const auto round = [&] {
    for (int i = 0; i < 500; ++i)
      make_span(tracer(), i % 5 == 0 ? long_text : topic);
  };
  for (int i = 0; i < 5; ++i) {
    round();
    EXPECT_TRUE(traced.telemetry.flush());
  }
  for (int i = 0; i < 5; ++i) {
    const std::uint64_t before = allocations_of_this_thread();
    round();
    EXPECT_EQ(allocations_of_this_thread() - before, 0U);
    EXPECT_TRUE(traced.telemetry.flush());
  }
  EXPECT_EQ(traced.exporter->spans.load(), 5000U);
}

TEST(Allocations, of_pending_spans_are_none) {
  Traced traced(always_on_sampler());
  const auto round = [] {
    std::array<PendingSpan, 100> open;
    for (PendingSpan& pending : open)
      pending = tracer().start_pending("send");
    for (PendingSpan& pending : open)
      tracer().resume(std::move(pending), "send orders").end();
  };
  for (int i = 0; i < 3; ++i) {
    round();
    traced.telemetry.flush();
  }
  const std::uint64_t before = allocations_of_this_thread();
  round();
  EXPECT_EQ(allocations_of_this_thread() - before, 0U);
}

// Holds one traceparent in place.
class FixedCarrier final : public CarrierReader, public CarrierWriter {
 public:
  void get_all(std::string_view name, FunctionRef<bool(std::string_view)> visit) const noexcept override {
    if (name == "traceparent") visit({text_.data(), size_});
  }
  void for_each(FunctionRef<bool(std::string_view, std::string_view)> visit) const noexcept override {
    visit("traceparent", {text_.data(), size_});
  }
  void set(std::string_view name, std::string_view value) noexcept override {
    if (name == "traceparent" && value.size() <= text_.size()) size_ = value.copy(text_.data(), text_.size());
  }

 private:
  std::array<char, 64> text_{};
  std::size_t size_ = 0;
};

TEST(Allocations, of_inject_and_extract_are_none) {
  const Traced traced(always_on_sampler());
  Span span = tracer().start("span");
  const Scope scope = span.activate();
  FixedCarrier carrier;
  Context extracted;
  const auto round = [&] {
    propagator().inject(Context::current(), carrier);
    extracted = Context();
    propagator().extract(carrier, extracted);
  };
  round();
  const std::uint64_t before = allocations_of_this_thread();
  for (int i = 0; i < 1000; ++i)
    round();
  EXPECT_EQ(allocations_of_this_thread() - before, 0U);
  EXPECT_EQ(extracted.span.span_id, span.context().span_id);
}

}  // namespace
}  // namespace midtrace

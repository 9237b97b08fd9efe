// What becomes of midtrace's spans in the application's SDK.
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <midtrace/propagation/propagator.h>
#include <midtrace/trace/backend.h>
#include <midtrace/trace/tracer.h>

#include <opentelemetry/sdk/trace/samplers/always_off.h>
#include <opentelemetry/sdk/trace/samplers/always_on.h>
#include <opentelemetry/sdk/trace/samplers/parent.h>
#include <opentelemetry/trace/context.h>
#include <opentelemetry/trace/default_span.h>
#include <opentelemetry/trace/noop.h>
#include <opentelemetry/trace/scope.h>
#include <opentelemetry/version.h>

#include "support/bridge_recorder.h"

namespace midtrace::test {
namespace {

namespace api = opentelemetry;

Tracer tracer() { return Tracer::get("library", "1.2", "https://example.org/schema"); }

const SpanContext remote_parent{
    {0x0af7651916cd43ddU, 0x8448eb211c80319cU}, {0xb7ad6b7169203331U}, {1}, true, {}};

std::unique_ptr<api::sdk::trace::Sampler> follow_the_parent() {
  return std::make_unique<api::sdk::trace::ParentBasedSampler>(
      std::make_shared<api::sdk::trace::AlwaysOnSampler>());
}

// What the application's own traceparent would say.
int application_flags() {
  return api::trace::GetSpanContext(api::context::RuntimeContext::GetCurrent()).trace_flags().flags();
}

testing::OwnedSpan named(const std::vector<testing::OwnedSpan>& spans, std::string_view name) {
  for (const testing::OwnedSpan& span : spans) {
    if (span.name == name) return span;
  }
  ADD_FAILURE() << "no span " << name;
  return {};
}

TEST(BridgedSpans, areChildrenOfTheApplicationsAndTheOtherWayRound) {
  BridgeRecorder recorder;
  {
    const auto request = recorder.tracer()->StartSpan("request");
    const api::trace::Scope in_request(request);
    const Span send = tracer().start("send", {.kind = SpanKind::producer});
    const Scope in_send = send.activate();
    {
      const auto inside = recorder.tracer()->StartSpan("inside");
      const api::trace::Scope in_inside(inside);
      const Span innermost = tracer().start("innermost");
      inside->End();
    }
    const Span sibling = tracer().start("sibling");
    request->End();
  }
  EXPECT_EQ(recorder.tree(), R"(
request INTERNAL
  send PRODUCER
    inside INTERNAL
      innermost INTERNAL
    sibling INTERNAL
)");
}

TEST(BridgedSpans, areExportedUnderTheIdsThatWentOnTheWire) {
  BridgeRecorder recorder;
  SpanContext sent;
  {
    const Span span = tracer().start("send");
    EXPECT_TRUE(span.recording());
    EXPECT_TRUE(span.context().sampled());
    sent = span.context();
  }
  ASSERT_EQ(recorder.spans().size(), 1U);
  EXPECT_EQ(recorder.spans()[0].context, sent);
}

TEST(BridgedSpans, keepKindAndScope) {
  BridgeRecorder recorder;
  const SpanKind kinds[] = {SpanKind::internal, SpanKind::server, SpanKind::client, SpanKind::producer,
                            SpanKind::consumer};
  for (const SpanKind kind : kinds)
    tracer().start("span", {.kind = kind}).end();
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), std::size(kinds));
  for (std::size_t i = 0; i < spans.size(); ++i) {
    EXPECT_EQ(spans[i].kind, kinds[i]);
    EXPECT_EQ(spans[i].scope_name, "library");
    EXPECT_EQ(spans[i].scope_version, "1.2");
    EXPECT_EQ(spans[i].scope_schema_url, "https://example.org/schema");
  }
}

TEST(BridgedSpans, takeARemoteParentWithItsTracestate) {
  BridgeRecorder recorder;
  Context received;
  received.span = remote_parent;
  received.span.trace_state = TraceState::parse("vendor=1,other=2");
  const Span span = tracer().start("process", {.parent = &received});
  EXPECT_EQ(span.context().trace_id, remote_parent.trace_id);
  EXPECT_NE(span.context().span_id, remote_parent.span_id);
  EXPECT_FALSE(span.context().remote);
  EXPECT_EQ(span.context().trace_state.header(), "vendor=1,other=2");
  const SpanContext context = span.context();
  {
    Span ended = tracer().start("also", {.parent = &received});
    ended.end();
  }
  EXPECT_EQ(named(recorder.spans(), "also").parent_span_id, remote_parent.span_id);
  EXPECT_TRUE(context.valid());
}

// Only what a traceparent may say crosses the bridge; the rest of the byte is midtrace's.
TEST(BridgedSpans, showTheApplicationNoFlagsButThoseOfATraceparent) {
  BridgeRecorder recorder(follow_the_parent());
  for (const std::uint8_t local : {TraceFlags::debug_bit, TraceFlags::deferred_bit}) {
    Context received;
    received.span = remote_parent;
    received.span.flags.bits = static_cast<std::uint8_t>(TraceFlags::sampled_bit | local);
    const Scope in_received(received);
    EXPECT_EQ(application_flags(), TraceFlags::sampled_bit);
    EXPECT_EQ(Context::current(), received) << "midtrace's own bits are kept";
    const Span span = tracer().start("span");
    const Scope in_span = span.activate();
    EXPECT_EQ(application_flags() & ~TraceFlags::wire_bits, 0);
    const Link links[] = {{received.span}};
    tracer().start("linked", {.links = links}).end();
  }
  const std::vector<testing::OwnedSpan> spans = recorder.spans();
  ASSERT_EQ(spans.size(), 4U);
  for (const testing::OwnedSpan& span : spans) {
    EXPECT_EQ(span.context.flags.bits & ~TraceFlags::wire_bits, 0) << span.name;
    for (const testing::OwnedLink& link : span.links)
      EXPECT_EQ(link.context.flags.bits, TraceFlags::sampled_bit);
  }
}

TEST(BridgedSpans, takeNoFlagsFromTheApplicationButThoseOfATraceparent) {
  BridgeRecorder recorder;
  const std::uint8_t ids[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  // `traceparent: 00-...-ff`, as an extractor that keeps the byte hands it on.
  const api::nostd::shared_ptr<api::trace::Span> received(new api::trace::DefaultSpan(
      api::trace::SpanContext(api::trace::TraceId(api::nostd::span<const std::uint8_t, 16>(ids, 16)),
                              api::trace::SpanId(api::nostd::span<const std::uint8_t, 8>(ids, 8)),
                              api::trace::TraceFlags(0xFF), true)));
  const api::trace::Scope in_received(received);
  EXPECT_EQ(Context::current().span.flags.bits, TraceFlags::wire_bits);
  const Span span = tracer().start("span");
  EXPECT_EQ(span.context().flags.bits & ~TraceFlags::wire_bits, 0);
  EXPECT_TRUE(span.context().sampled());
}

TEST(BridgedSpans, inheritThatTheirTraceIsForced) {
  BridgeRecorder recorder(follow_the_parent());
  Context received;
  received.span = remote_parent;
  received.span.flags.bits = TraceFlags::sampled_bit | TraceFlags::debug_bit;
  const Span process = tracer().start("process", {.parent = &received});
  EXPECT_TRUE(process.context().flags.debug());
  const Scope scope = process.activate();
  EXPECT_TRUE(tracer().start("send").context().flags.debug());
  const Context nothing;
  Context alone;  // `b3: d`
  alone.span.remote = true;
  alone.span.flags.bits = TraceFlags::sampled_bit | TraceFlags::debug_bit;
  const Span root = tracer().start("root", {.parent = &alone});
  EXPECT_TRUE(root.recording());
  EXPECT_TRUE(root.context().flags.debug());
  EXPECT_FALSE(tracer().start("apart", {.parent = &nothing}).context().flags.debug());
}

// `b3: 0`: the trace is denied, and there are no ids that a parent could be made of.
TEST(BridgedSpans, thatAreDeniedWithoutIdsAreNotStarted) {
  BridgeRecorder recorder(follow_the_parent());
  Context denied;
  denied.span.remote = true;
  {
    const Span span = tracer().start("denied", {.parent = &denied});
    EXPECT_FALSE(span.recording());
    EXPECT_TRUE(span.context().valid()) << "the denial goes on in a traceparent";
    EXPECT_FALSE(span.context().sampled());
    EXPECT_FALSE(span.context().remote);
    EXPECT_NE(span.context().trace_id, tracer().start("other", {.parent = &denied}).context().trace_id);
    const Scope scope = span.activate();
    const Span child = tracer().start("child");
    EXPECT_FALSE(child.recording());
    EXPECT_EQ(child.context().trace_id, span.context().trace_id);
    const auto of_application = recorder.tracer()->StartSpan("of the application");
    EXPECT_FALSE(of_application->IsRecording());
  }
  {
    const Scope scope(denied);  // the same where it is current
    EXPECT_FALSE(tracer().start("denied").recording());
  }
  EXPECT_EQ(recorder.tree(), "\n");
}

// Not denied: the root sampler decides.
TEST(BridgedSpans, belowOtherDecisionsWithoutIdsAreRoots) {
  for (const std::uint8_t flags : {TraceFlags::sampled_bit, TraceFlags::deferred_bit}) {
    BridgeRecorder recorder(follow_the_parent());
    Context received;
    received.span.remote = true;
    received.span.flags.bits = flags;
    const Span span = tracer().start("root", {.parent = &received});
    EXPECT_TRUE(span.recording()) << int{flags};
    EXPECT_FALSE(span.context().flags.deferred());
  }
}

// Nobody starts a span here, so what was received goes on as it is.
TEST(BridgedSpans, ofAProviderThatOnlyForwardsKeepEveryBit) {
  const otel_bridge::Bridge bridge =
      otel_bridge::install(otel_bridge::TracerProviderPointer(new api::trace::NoopTracerProvider));
  Context received;
  received.span = remote_parent;
  received.span.flags.bits = TraceFlags::deferred_bit;
  EXPECT_EQ(tracer().start("span", {.parent = &received}).context(), received.span);
}

TEST(BridgedSpans, withAnEmptyParentAreRoots) {
  BridgeRecorder recorder;
  {
    const auto request = recorder.tracer()->StartSpan("request");
    const api::trace::Scope in_request(request);
    const Context nothing;
    const Span span = tracer().start("apart", {.parent = &nothing});
    EXPECT_NE(span.context().trace_id, TraceId::from_hex([&] {
                                         char text[32];
                                         request->GetContext().trace_id().ToLowerBase16(text);
                                         return std::string(text, sizeof text);
                                       }())
                                           .value());
  }
  EXPECT_FALSE(named(recorder.spans(), "apart").parent_span_id.valid());
}

TEST(BridgedSpans, thatAreNotSampledHaveContextsOfTheirOwn) {
  BridgeRecorder recorder(std::make_unique<api::sdk::trace::AlwaysOffSampler>());
  {
    Span span = tracer().start("send");
    EXPECT_FALSE(span.recording());
    EXPECT_TRUE(span.context().valid());
    EXPECT_FALSE(span.context().sampled());
    const Scope scope = span.activate();
    EXPECT_EQ(Context::current().span, span.context());
    const Span child = tracer().start("child");
    EXPECT_EQ(child.context().trace_id, span.context().trace_id);
    EXPECT_NE(child.context().span_id, span.context().span_id);
    // The application sees it, too.
    const auto inside = recorder.tracer()->StartSpan("inside");
    EXPECT_EQ(inside->GetContext().trace_id(),
              api::trace::GetSpanContext(api::context::RuntimeContext::GetCurrent()).trace_id());
  }
  EXPECT_EQ(recorder.tree(), "\n");
}

TEST(BridgedSpans, carryAttributesOfEveryType) {
  BridgeRecorder recorder;
  const std::string_view strings[] = {"a", "b"};
  const bool booleans[] = {true, false};
  const std::int64_t integers[] = {1, -2};
  const double reals[] = {0.5, 2.25};
  {
    Span span = tracer().start("send");
    span.set("string", "text");
    span.set("boolean", true);
    span.set("integer", -7);
    span.set("real", 2.5);
    span.set("strings", AttributeValue(std::span<const std::string_view>(strings)));
    span.set("booleans", AttributeValue(std::span<const bool>(booleans)));
    span.set("integers", AttributeValue(std::span<const std::int64_t>(integers)));
    span.set("reals", AttributeValue(std::span<const double>(reals)));
    span.set("string", "replaced");
  }
  EXPECT_EQ(recorder.tree(), R"(
send INTERNAL
  boolean = true
  booleans = [true, false]
  integer = -7
  integers = [1, -2]
  real = 2.5
  reals = [0.5, 2.25]
  string = replaced
  strings = [a, b]
)");
}

// Exporters of opentelemetry-cpp may keep an attribute that is set twice, twice.
TEST(BridgedSpans, setAnAttributeThatWasGivenAtTheStartAgainOnlyIfItChanged) {
  class Sampler final : public api::sdk::trace::Sampler {
   public:
    explicit Sampler(std::map<std::string, int>* seen) : seen_(seen) {}
    api::sdk::trace::SamplingResult ShouldSample(
        const api::trace::SpanContext&, api::trace::TraceId, api::nostd::string_view, api::trace::SpanKind,
        const api::common::KeyValueIterable& attributes,
        const api::trace::SpanContextKeyValueIterable& links) noexcept override {
      attributes.ForEachKeyValue([this](api::nostd::string_view key, api::common::AttributeValue) noexcept {
        ++(*seen_)[std::string(key.data(), key.size())];
        return true;
      });
      (*seen_)["links"] += static_cast<int>(links.size());
      return {api::sdk::trace::Decision::RECORD_AND_SAMPLE, nullptr, {}};
    }
    api::nostd::string_view GetDescription() const noexcept override { return "counts"; }

   private:
    std::map<std::string, int>* seen_;
  };
  std::map<std::string, int> seen;
  BridgeRecorder recorder(std::make_unique<Sampler>(&seen));
  const Attribute attributes[] = {{"topic", "orders"}, {"partition", 1}};
  const Link links[] = {{remote_parent}};
  {
    Span span = tracer().start("send", {.links = links, .attributes = attributes});
    span.set("partition", 2);
  }
  EXPECT_EQ(seen, (std::map<std::string, int>{{"topic", 1}, {"partition", 1}, {"links", 1}}));
  EXPECT_EQ(recorder.tree(), R"(
send INTERNAL
  partition = 2
  topic = orders
  link -> (not here)
)");
}

TEST(BridgedSpans, takeAllLinksOfTheStartWithTheirAttributes) {
  BridgeRecorder recorder;
  const Attribute attributes[] = {{"offset", 7}};
  std::vector<Link> links(300, Link{remote_parent, attributes});
  links[0].context.trace_state = TraceState::parse("vendor=1");
  links.insert(links.begin() + 1, Link{});  // says nothing
  tracer().start("process", {.links = links}).end();
  const testing::OwnedSpan span = named(recorder.spans(), "process");
  ASSERT_EQ(span.links.size(), 300U);
  EXPECT_EQ(span.links[0].context.trace_state.header(), "vendor=1");
  for (const testing::OwnedLink& link : span.links) {
    EXPECT_EQ(link.context.span_id, remote_parent.span_id);
    EXPECT_TRUE(link.context.remote);
    ASSERT_EQ(link.attributes.size(), 1U);
    EXPECT_EQ(link.attributes[0].text(), "7");
  }
}

TEST(BridgedSpans, keepLinksThatAreAddedLaterWhereTheApiCan) {
  BridgeRecorder recorder;
  const Link first[] = {{remote_parent}};
  {
    Span span = tracer().start("process", {.links = first});
    span.add_link({remote_parent});
  }
  const std::size_t links = named(recorder.spans(), "process").links.size();
#if OPENTELEMETRY_ABI_VERSION_NO >= 2
  EXPECT_EQ(links, 2U);
  EXPECT_EQ(recorder.counters()[Counter::dropped_links], 0U);
#else
  EXPECT_EQ(links, 1U);
  EXPECT_EQ(recorder.counters()[Counter::dropped_links], 1U);
#endif
}

TEST(BridgedSpans, keepTheirTimes) {
  using namespace std::chrono_literals;
  testing::Recorder native;  // for its clock
  testing::ManualClock& clock = native.clock();
  BridgeRecorder recorder;
  const std::uint64_t started = current_tick();
  clock.advance(3ms);
  {
    Span span = tracer().start("given", {.start_tick = started});
    clock.advance(1us);
    span.add_event("enqueued", {{"queue", 3}});
    clock.advance(2s);
  }
  tracer().start("now").end();
  const testing::OwnedSpan given = named(recorder.spans(), "given");
  const std::int64_t start = tick_to_unix_nanos(started);
  EXPECT_EQ(given.start_unix_nanos, start);
  ASSERT_EQ(given.events.size(), 1U);
  EXPECT_EQ(given.events[0].name, "enqueued");
  EXPECT_EQ(given.events[0].attributes.at(0).text(), "3");
  EXPECT_EQ(given.events[0].unix_nanos, start + 3001000);
  EXPECT_EQ(given.end_unix_nanos, start + 2003001000);
  const testing::OwnedSpan now = named(recorder.spans(), "now");
  EXPECT_EQ(now.start_unix_nanos, start + 2003001000);
  EXPECT_EQ(now.end_unix_nanos, now.start_unix_nanos);
}

// Whoever ends a span by the API itself uses the steady clock.
TEST(BridgedSpans, beginAtTheRightSteadyTime) {
  BridgeRecorder recorder;
  Span span = tracer().start("ended by the application");
  const Scope scope = span.activate();
  api::trace::Tracer::GetCurrentSpan()->End();
  const testing::OwnedSpan ended = named(recorder.spans(), "ended by the application");
  EXPECT_GE(ended.end_unix_nanos, ended.start_unix_nanos);
  EXPECT_LT(ended.end_unix_nanos - ended.start_unix_nanos, 60000000000);
}

TEST(BridgedSpans, keepNameStatusAndExceptions) {
  BridgeRecorder recorder;
  {
    Span failed = tracer().start("first name");
    failed.set_name("failed");
    failed.set_error("timeout", "no answer");
  }
  {
    Span fine = tracer().start("fine");
    fine.set_status(StatusCode::error, "for now");
    fine.set_status(StatusCode::ok);
  }
  tracer().start("unset").end();
  {
    Span thrown = tracer().start("thrown");
    thrown.record_exception(std::runtime_error("bang"));
  }
  EXPECT_EQ(recorder.tree(), R"(
failed INTERNAL
  status ERROR: no answer
  error.type = timeout
fine INTERNAL
  status OK
thrown INTERNAL
  event exception {exception.message = bang, exception.type = std::runtime_error}
unset INTERNAL
)");
}

TEST(BridgedSpans, keepWhatTheApplicationSaysAboutThem) {
  BridgeRecorder recorder;
  {
    Span send = tracer().start("send");
    const Scope scope = send.activate();
    const auto current = api::trace::Tracer::GetCurrentSpan();
    EXPECT_TRUE(current->IsRecording());
    current->SetAttribute("by.application", 1);
    current->UpdateName("renamed");
    send.set("by.midtrace", 2);
  }
  EXPECT_EQ(recorder.tree(), R"(
renamed INTERNAL
  by.application = 1
  by.midtrace = 2
)");
}

TEST(BridgedSpans, endOnAnotherThread) {
  BridgeRecorder recorder;
  Span span = tracer().start("hand over");
  std::thread([moved = std::move(span)]() mutable {
    moved.set("thread", "other");
    moved.end();
  }).join();
  EXPECT_EQ(recorder.tree(), R"(
hand over INTERNAL
  thread = other
)");
}

TEST(BridgedSpans, thatArePendingAreResumedElsewhere) {
  BridgeRecorder recorder;
  const Link links[] = {{remote_parent}};
  const Attribute attributes[] = {{"topic", "orders"}};
  const StartOptions options{.kind = SpanKind::producer, .links = links, .attributes = attributes};
  PendingSpan pending = tracer().start_pending("send", options);
  ASSERT_TRUE(pending.recording());
  const SpanContext sent = pending.context();
  std::thread([&] {
    Span span = tracer().resume(std::move(pending), "send orders", options);
    span.set("offset", 4);
  }).join();
  EXPECT_EQ(named(recorder.spans(), "send orders").context, sent);
  EXPECT_EQ(recorder.tree(), R"(
send orders PRODUCER
  offset = 4
  topic = orders
  link -> (not here)
)");
}

// The API cannot take a span back, so it ends at once and says so.
TEST(BridgedSpans, thatAreDiscardedAreMarked) {
  BridgeRecorder recorder;
  {
    Span span = tracer().start("gone");
    span.set("secret", "x");
    span.discard();
    EXPECT_FALSE(span.recording());
  }
  tracer().start_pending("gone").discard();
  EXPECT_EQ(recorder.tree(), R"(
gone INTERNAL
  midtrace.discarded = true
gone INTERNAL
  midtrace.discarded = true
)");
  for (const testing::OwnedSpan& span : recorder.spans())
    EXPECT_EQ(span.start_unix_nanos, span.end_unix_nanos);
}

TEST(BridgedSpans, areCounted) {
  BridgeRecorder recorder;
  tracer().start("one").end();
  const Span two = tracer().start("two");
  const Counters counters = recorder.counters();
  EXPECT_EQ(counters[Counter::spans_started], 2U);
  EXPECT_EQ(counters[Counter::spans_sampled], 2U);
  EXPECT_EQ(counters[Counter::spans_finished], 1U);
}

}  // namespace
}  // namespace midtrace::test

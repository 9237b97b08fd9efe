// What the in-memory exporter keeps of a span.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

namespace {

using midtrace::AttributeType;
using midtrace::Span;
using midtrace::Tracer;
using midtrace::testing::OwnedAttribute;
using midtrace::testing::OwnedSpan;
using midtrace::testing::Recorder;
using midtrace::testing::RecorderOptions;

midtrace::SpanContext foreign_context() {
  midtrace::SpanContext context;
  context.trace_id = {.high = 1, .low = 2};
  context.span_id = {.value = 3};
  context.flags.bits = midtrace::TraceFlags::sampled_bit;
  context.remote = true;
  return context;
}

TEST(OwnedSpanTest, HoldsEverythingAfterTheRecordIsGone) {
  Recorder recorder;
  {
    const midtrace::Context parent{.span = foreign_context(), .baggage = {}};
    const midtrace::Attribute link_attributes[] = {{"offset", 42}};
    Span span = Tracer::get("shop", "1.2", "https://example.org/schema")
                    .start("process orders", {.kind = midtrace::SpanKind::consumer, .parent = &parent});
    span.set("topic", "orders");
    recorder.clock().advance(std::chrono::milliseconds(3));
    span.add_event("retry", {{"attempt", 2}});
    span.add_link({foreign_context(), link_attributes});
    span.set_status(midtrace::StatusCode::error, "refused");
    recorder.clock().advance(std::chrono::milliseconds(4));
  }
  const std::vector<OwnedSpan> spans = recorder.spans();
  ASSERT_EQ(spans.size(), 1U);
  const OwnedSpan& span = spans[0];
  EXPECT_EQ(span.name, "process orders");
  EXPECT_EQ(span.kind, midtrace::SpanKind::consumer);
  EXPECT_EQ(span.context.trace_id, foreign_context().trace_id);
  EXPECT_EQ(span.parent_span_id, foreign_context().span_id);
  EXPECT_TRUE(span.parent_remote);
  EXPECT_EQ(span.end_unix_nanos - span.start_unix_nanos, 7000000);
  EXPECT_EQ(span.status, midtrace::StatusCode::error);
  EXPECT_EQ(span.status_description, "refused");
  EXPECT_EQ(span.scope_name, "shop");
  EXPECT_EQ(span.scope_version, "1.2");
  EXPECT_EQ(span.scope_schema_url, "https://example.org/schema");
  EXPECT_EQ(span.attribute("topic"), "orders");
  EXPECT_EQ(span.attribute("nothing"), "");
  ASSERT_EQ(span.events.size(), 1U);
  EXPECT_EQ(span.events[0].name, "retry");
  EXPECT_EQ(span.events[0].unix_nanos - span.start_unix_nanos, 3000000);
  EXPECT_EQ(span.events[0].attributes[0].text(), "2");
  ASSERT_EQ(span.links.size(), 1U);
  EXPECT_EQ(span.links[0].context, foreign_context());
  EXPECT_EQ(span.links[0].attributes[0].key, "offset");
}

TEST(OwnedSpanTest, CountsWhatWasDropped) {
  RecorderOptions options;
  options.limits.attribute_count = 1;
  options.limits.event_count = 0;
  options.limits.link_count = 0;
  Recorder recorder(std::move(options));
  {
    Span span = Tracer::get("shop").start("work");
    span.set("a", 1);
    span.set("b", 2);
    span.add_event("event");
    span.add_link({foreign_context(), {}});
  }
  const OwnedSpan span = recorder.spans().at(0);
  EXPECT_EQ(span.attributes.size(), 1U);
  EXPECT_EQ(span.dropped_attributes, 1U);
  EXPECT_EQ(span.dropped_events, 1U);
  EXPECT_EQ(span.dropped_links, 1U);
}

TEST(OwnedAttributeTest, PrintsEveryTypeTheSameOnEveryMachine) {
  Recorder recorder;
  {
    Span span = Tracer::get("shop").start("work");
    const std::string_view strings[] = {"a", "b c"};
    const bool flags[] = {true, false};
    const std::int64_t integers[] = {1, -2};
    const double reals[] = {0.5, 2.0};
    span.set("string", "two\nlines\t\x01");
    span.set("boolean", true);
    span.set("integer", -7);
    span.set("real", 0.1);
    span.set("nan", -std::nan(""));
    span.set("strings", std::span<const std::string_view>(strings));
    span.set("flags", std::span<const bool>(flags));
    span.set("integers", std::span<const std::int64_t>(integers));
    span.set("reals", std::span<const double>(reals));
    span.set("empty", std::span<const double>());
  }
  const OwnedSpan span = recorder.spans().at(0);
  EXPECT_EQ(span.attribute("string"), R"(two\nlines\x09\x01)");
  EXPECT_EQ(span.attribute("boolean"), "true");
  EXPECT_EQ(span.attribute("integer"), "-7");
  EXPECT_EQ(span.attribute("real"), "0.1");
  EXPECT_EQ(span.attribute("nan"), "nan");
  EXPECT_EQ(span.attribute("strings"), "[a, b c]");
  EXPECT_EQ(span.attribute("flags"), "[true, false]");
  EXPECT_EQ(span.attribute("integers"), "[1, -2]");
  EXPECT_EQ(span.attribute("reals"), "[0.5, 2]");
  EXPECT_EQ(span.attribute("empty"), "[]");
  EXPECT_EQ(span.attributes.at(5).type, AttributeType::string_array);
  EXPECT_EQ(std::get<std::int64_t>(span.attributes.at(2).value), -7);
}

TEST(MemoryExporterTest, KeepsTheResource) {
  const auto exporter = std::make_shared<midtrace::testing::MemoryExporter>();
  RecorderOptions options;
  options.service_name = "checkout";
  options.more_exporters.push_back(exporter);
  Recorder recorder(std::move(options));
  { Span span = Tracer::get("shop").start("work"); }
  recorder.spans();
  ASSERT_FALSE(exporter->resource().empty());
  EXPECT_EQ(exporter->resource()[0].key, "service.name");
  EXPECT_EQ(std::get<std::string>(exporter->resource()[0].value), "checkout");
  exporter->clear();
  EXPECT_TRUE(exporter->spans().empty());
}

}  // namespace

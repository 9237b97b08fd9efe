// A batch of spans as an OTLP request, read back by protobuf's own decoder.
#include "protobuf_encoder.h"

#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

#include "../export/captured_batch.h"
#include "support/allocations.h"
#include "trace_request.pb.h"

namespace {

using midtrace::Span;
using midtrace::Tracer;
using midtrace::otlp::ProtobufEncoder;
using midtrace::testing::Recorder;
using midtrace::testing::RecorderOptions;
using midtrace_test::otlp::AnyValue;
using midtrace_test::otlp::ExportTraceServiceRequest;
using testing::ElementsAre;
namespace message = midtrace_test::otlp;

std::vector<std::string> encoded(const std::function<void(Recorder&)>& trace, RecorderOptions options = {}) {
  std::vector<std::string> batches;
  ProtobufEncoder encoder;
  options.more_exporters.push_back(std::make_shared<midtrace_test::FunctionExporter>(
      [&](const midtrace::ExportBatch& batch) { batches.emplace_back(encoder.encode(batch)); }));
  {
    Recorder recorder(std::move(options));
    trace(recorder);
    recorder.spans();
  }
  return batches;
}

// The only batch that `trace` makes, decoded. What the definitions do not name would be an unknown field.
ExportTraceServiceRequest request_of(const std::function<void(Recorder&)>& trace,
                                     RecorderOptions options = {}) {
  const std::vector<std::string> batches = encoded(trace, std::move(options));
  EXPECT_EQ(batches.size(), 1U);
  ExportTraceServiceRequest request;
  EXPECT_TRUE(!batches.empty() && request.ParseFromString(batches[0]));
  std::size_t unknown = 0;
  ExportTraceServiceRequest known = request;
  known.DiscardUnknownFields();
  if (!batches.empty()) unknown = batches[0].size() - known.ByteSizeLong();
  EXPECT_EQ(unknown, 0U) << "bytes that are unknown fields, or lengths in more bytes than they need";
  return request;
}

message::Span only_span_of(const std::function<void(Recorder&)>& trace, RecorderOptions options = {}) {
  const ExportTraceServiceRequest request = request_of(trace, std::move(options));
  if (request.resource_spans_size() != 1 || request.resource_spans(0).scope_spans_size() != 1 ||
      request.resource_spans(0).scope_spans(0).spans_size() != 1) {
    ADD_FAILURE() << "not one span but " << request.ShortDebugString();
    return {};
  }
  return request.resource_spans(0).scope_spans(0).spans(0);
}

template <class Attributes>
AnyValue value_of(const Attributes& attributes, const std::string& key) {
  for (const auto& attribute : attributes) {
    if (attribute.key() == key) return attribute.value();
  }
  ADD_FAILURE() << "no attribute " << key;
  return {};
}

std::string hex(const std::string& bytes) {
  std::string text;
  for (const char byte : bytes) {
    constexpr const char* digits = "0123456789abcdef";
    text += digits[static_cast<unsigned char>(byte) >> 4U];
    text += digits[static_cast<unsigned char>(byte) & 0xFU];
  }
  return text;
}

midtrace::SpanContext remote_context() {
  midtrace::SpanContext context;
  context.trace_id = *midtrace::TraceId::from_hex("4bf92f3577b34da6a3ce929d0e0e4736");
  context.span_id = *midtrace::SpanId::from_hex("00f067aa0ba902b7");
  context.flags.bits = midtrace::TraceFlags::sampled_bit;
  context.remote = true;
  context.trace_state = midtrace::TraceState::parse("vendor=a:1,other=b");
  return context;
}

TEST(OtlpProtobuf, CarriesEveryFieldOfASpan) {
  const ExportTraceServiceRequest request = request_of([](Recorder& recorder) {
    const midtrace::Context parent{.span = remote_context(), .baggage = {}};
    Span span = Tracer::get("shop", "1.2", "https://example.org/schema")
                    .start("send orders", {.kind = midtrace::SpanKind::producer, .parent = &parent});
    span.set("text", "caf\u00E9\n");
    recorder.clock().advance(std::chrono::milliseconds(2));
    span.add_event("retry", {{"attempt", 2}});
    const midtrace::Attribute link_attributes[] = {{"position", 7}};
    span.add_link({remote_context(), link_attributes});
    span.set_status(midtrace::StatusCode::error, "refused");
    recorder.clock().advance(std::chrono::milliseconds(1));
  });
  ASSERT_EQ(request.resource_spans_size(), 1);
  const auto& resource = request.resource_spans(0).resource();
  EXPECT_EQ(value_of(resource.attributes(), "service.name").string_value(), "test");
  EXPECT_EQ(value_of(resource.attributes(), "telemetry.sdk.language").string_value(), "cpp");
  ASSERT_EQ(request.resource_spans(0).scope_spans_size(), 1);
  const auto& scope = request.resource_spans(0).scope_spans(0);
  EXPECT_EQ(scope.scope().name(), "shop");
  EXPECT_EQ(scope.scope().version(), "1.2");
  EXPECT_EQ(scope.schema_url(), "https://example.org/schema");
  ASSERT_EQ(scope.spans_size(), 1);
  const auto& span = scope.spans(0);
  EXPECT_EQ(hex(span.trace_id()), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(hex(span.span_id()), "0000000000000001");
  EXPECT_EQ(span.trace_state(), "vendor=a:1,other=b");
  EXPECT_EQ(hex(span.parent_span_id()), "00f067aa0ba902b7");
  EXPECT_EQ(span.name(), "send orders");
  EXPECT_EQ(span.kind(), message::Span::SPAN_KIND_PRODUCER);
  EXPECT_EQ(span.start_time_unix_nano(), 1704067200000000000U);
  EXPECT_EQ(span.end_time_unix_nano(), 1704067200003000000U);
  EXPECT_EQ(value_of(span.attributes(), "text").string_value(), "caf\u00E9\n");
  EXPECT_EQ(span.flags(), 0x301U) << "sampled, and the parent is known to be remote";
  ASSERT_EQ(span.events_size(), 1);
  EXPECT_EQ(span.events(0).name(), "retry");
  EXPECT_EQ(span.events(0).time_unix_nano(), 1704067200002000000U);
  EXPECT_EQ(value_of(span.events(0).attributes(), "attempt").int_value(), 2);
  ASSERT_EQ(span.links_size(), 1);
  EXPECT_EQ(hex(span.links(0).trace_id()), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(hex(span.links(0).span_id()), "00f067aa0ba902b7");
  EXPECT_EQ(span.links(0).trace_state(), "vendor=a:1,other=b");
  EXPECT_EQ(span.links(0).flags(), 0x301U);
  EXPECT_EQ(value_of(span.links(0).attributes(), "position").int_value(), 7);
  EXPECT_EQ(span.status().code(), message::Status::STATUS_CODE_ERROR);
  EXPECT_EQ(span.status().message(), "refused");
}

TEST(OtlpProtobuf, ABareSpanLeavesEverythingElseOut) {
  const message::Span span = only_span_of([](Recorder&) { Tracer::get("shop").start("work").end(); });
  EXPECT_EQ(
      span.ShortDebugString(),
      R"(trace_id: "\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\001" )"
      R"(span_id: "\000\000\000\000\000\000\000\001" name: "work" kind: SPAN_KIND_INTERNAL )"
      R"(start_time_unix_nano: 1704067200000000000 end_time_unix_nano: 1704067200000000000 flags: 257)");
}

TEST(OtlpProtobuf, CarriesEveryKind) {
  using midtrace::SpanKind;
  struct Case {
    SpanKind kind;
    message::Span::SpanKind written;
  };
  for (const Case& one : {Case{SpanKind::internal, message::Span::SPAN_KIND_INTERNAL},
                          Case{SpanKind::server, message::Span::SPAN_KIND_SERVER},
                          Case{SpanKind::client, message::Span::SPAN_KIND_CLIENT},
                          Case{SpanKind::producer, message::Span::SPAN_KIND_PRODUCER},
                          Case{SpanKind::consumer, message::Span::SPAN_KIND_CONSUMER}}) {
    const message::Span span =
        only_span_of([&](Recorder&) { Tracer::get("shop").start("work", {.kind = one.kind}).end(); });
    EXPECT_EQ(span.kind(), one.written);
  }
}

TEST(OtlpProtobuf, CarriesTheRandomBitAndNothingOfThisProcess) {
  using midtrace::TraceFlags;
  ASSERT_NE(TraceFlags::debug_bit, 0);
  ASSERT_NE(TraceFlags::deferred_bit, 0);
  struct Case {
    std::uint32_t bits;
    std::uint32_t written;
  };
  const std::uint32_t sampled = TraceFlags::sampled_bit;
  for (const Case& one :
       {Case{sampled, 0x301}, Case{sampled | TraceFlags::random_bit, 0x303},
        Case{sampled | TraceFlags::debug_bit, 0x301}, Case{sampled | TraceFlags::deferred_bit, 0x301},
        Case{sampled | TraceFlags::random_bit | TraceFlags::debug_bit | TraceFlags::deferred_bit, 0x303}}) {
    const message::Span span = only_span_of([&](Recorder&) {
      midtrace::SpanContext context = remote_context();
      context.flags.bits = static_cast<decltype(context.flags.bits)>(one.bits);
      const midtrace::Context parent{.span = context, .baggage = {}};
      Span s = Tracer::get("shop").start("work", {.parent = &parent});
      s.add_link({context, {}});
    });
    EXPECT_EQ(span.flags(), one.written) << one.bits;
    EXPECT_EQ(span.links(0).flags(), one.written) << one.bits;
  }
}

TEST(OtlpProtobuf, AScopeWithoutAVersionHasNone) {
  const ExportTraceServiceRequest request =
      request_of([](Recorder&) { Tracer::get("shop").start("work").end(); });
  const auto& scope = request.resource_spans(0).scope_spans(0);
  EXPECT_EQ(scope.scope().ShortDebugString(), R"(name: "shop")");
  EXPECT_EQ(scope.schema_url(), "");
}

TEST(OtlpProtobuf, ALocalParentIsKnownNotToBeRemote) {
  const ExportTraceServiceRequest request = request_of([](Recorder&) {
    Span outer = Tracer::get("shop").start("outer");
    const midtrace::Scope scope = outer.activate();
    Tracer::get("shop").start("inner").end();
  });
  const auto& inner = request.resource_spans(0).scope_spans(0).spans(0);
  EXPECT_EQ(inner.name(), "inner");
  EXPECT_EQ(inner.flags(), 0x101U);
  EXPECT_EQ(hex(inner.parent_span_id()), "0000000000000001");
}

// --- values

TEST(OtlpProtobuf, ScalarsKeepTheirTypeAlsoWhenTheyAreZero) {
  constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const message::Span span = only_span_of([](Recorder&) {
    Span s = Tracer::get("shop").start("work");
    s.set("empty", "");
    s.set("false", false);
    s.set("true", true);
    s.set("zero", std::int64_t{0});
    s.set("least", least);
    s.set("most", most);
    s.set("nothing", 0.0);
    s.set("half", -0.5);
    s.set("nan", std::numeric_limits<double>::quiet_NaN());
    s.set("infinite", -std::numeric_limits<double>::infinity());
  });
  const auto& attributes = span.attributes();
  EXPECT_EQ(value_of(attributes, "empty").value_case(), AnyValue::kStringValue);
  EXPECT_EQ(value_of(attributes, "false").value_case(), AnyValue::kBoolValue);
  EXPECT_TRUE(value_of(attributes, "true").bool_value());
  EXPECT_EQ(value_of(attributes, "zero").value_case(), AnyValue::kIntValue);
  EXPECT_EQ(value_of(attributes, "least").int_value(), least);
  EXPECT_EQ(value_of(attributes, "most").int_value(), most);
  EXPECT_EQ(value_of(attributes, "nothing").value_case(), AnyValue::kDoubleValue);
  EXPECT_EQ(value_of(attributes, "half").double_value(), -0.5);
  EXPECT_TRUE(std::isnan(value_of(attributes, "nan").double_value()));
  EXPECT_EQ(value_of(attributes, "infinite").double_value(), -std::numeric_limits<double>::infinity());
}

TEST(OtlpProtobuf, ArraysOfEveryTypeKeepTheirElementsInOrder) {
  const message::Span span = only_span_of([](Recorder&) {
    Span s = Tracer::get("shop").start("work");
    const std::string_view strings[] = {"a", "", "caf\xE9"};
    const bool booleans[] = {true, false};
    const std::int64_t integers[] = {0, -1, 4711};
    const double reals[] = {0.0, 0.25};
    s.set("strings", std::span<const std::string_view>(strings));
    s.set("booleans", std::span<const bool>(booleans));
    s.set("integers", std::span<const std::int64_t>(integers));
    s.set("reals", std::span<const double>(reals));
    s.set("none", std::span<const std::int64_t>());
  });
  const auto text = [&span](const char* key) {
    return value_of(span.attributes(), key).array_value().ShortDebugString();
  };
  EXPECT_EQ(
      text("strings"),
      R"(values { string_value: "a" } values { string_value: "" } values { string_value: "caf\357\277\275" })");
  EXPECT_EQ(text("booleans"), "values { bool_value: true } values { bool_value: false }");
  EXPECT_EQ(text("integers"), "values { int_value: 0 } values { int_value: -1 } values { int_value: 4711 }");
  EXPECT_EQ(text("reals"), "values { double_value: 0 } values { double_value: 0.25 }");
  EXPECT_EQ(value_of(span.attributes(), "none").value_case(), AnyValue::kArrayValue);
  EXPECT_EQ(text("none"), "");
}

TEST(OtlpProtobuf, LongValuesHaveTheLengthsThatTheyNeed) {
  for (const std::size_t size : {126U, 127U, 128U, 129U, 16383U, 16384U, 70000U}) {
    const std::string value(size, 'v');
    const message::Span span = only_span_of([&value](Recorder&) {
      Span s = Tracer::get("shop").start("work");
      s.set("value", value);
      s.add_event("event", {{"value", value}});
    });
    EXPECT_EQ(value_of(span.attributes(), "value").string_value(), value) << size;
    EXPECT_EQ(value_of(span.events(0).attributes(), "value").string_value(), value) << size;
  }
}

TEST(OtlpProtobuf, WhatIsNotUtf8BecomesValid) {
  const message::Span span = only_span_of([](Recorder&) {
    Span s = Tracer::get("shop").start("n\xFFme");
    s.set("k\xC3y", "v\xE2\x82lue");
    s.add_event("e\x80vent", {});
    s.set_status(midtrace::StatusCode::error, "w\xF0rong");
  });
  EXPECT_EQ(span.name(), "n\uFFFDme");
  EXPECT_EQ(value_of(span.attributes(), "k\uFFFDy").string_value(), "v\uFFFDlue");
  EXPECT_EQ(span.events(0).name(), "e\uFFFDvent");
  EXPECT_EQ(span.status().message(), "w\uFFFDrong");
}

TEST(OtlpProtobuf, CountsEachTextThatItMadeValidOnce) {
  const auto made_valid_by = [](const std::function<void(Recorder&)>& record) {
    const std::uint64_t before = midtrace::counters()[midtrace::Counter::invalid_utf8];
    only_span_of(record);
    return midtrace::counters()[midtrace::Counter::invalid_utf8] - before;
  };
  EXPECT_EQ(made_valid_by([](Recorder&) {
              Span s = Tracer::get("shop").start("caf\u00E9");
              s.set("\u20AC", "plain text of more than eight bytes");
            }),
            0U);
  EXPECT_EQ(made_valid_by([](Recorder&) {
              Span s = Tracer::get("shop").start("n\xFFm\xFF\xFF");
              const std::string_view texts[] = {"right", "wr\xFFng", "\xE2\x82"};
              s.set("k\xC3y", "v\xE2\x82l\xFFue");
              s.set("texts", std::span<const std::string_view>(texts));
              s.add_event("e\x80vent", {});
              s.set_status(midtrace::StatusCode::error, "w\xF0rong");
            }),
            7U)
      << "name, key, value, two elements, event, description";
}

struct Utf8Case {
  std::string_view text;
  std::string_view valid;
};
TEST(OtlpProtobuf, ReplacesWhatIsNotUtf8SequenceBySequence) {
  const Utf8Case cases[] = {
      {"", ""},
      {"plain text of more than eight bytes", "plain text of more than eight bytes"},
      {"caf\u00E9 \u20AC \U0001F600", "caf\u00E9 \u20AC \U0001F600"},
      {"12345678\xFF", "12345678\uFFFD"},
      {"\xC0\xAF", "\uFFFD\uFFFD"},
      {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},
      {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},
      {"\xE2\x82", "\uFFFD"},
  };
  std::string scratch;
  for (const Utf8Case& one : cases)
    EXPECT_EQ(ProtobufEncoder::valid_utf8(one.text, scratch), one.valid);
}

TEST(OtlpProtobuf, AResourcesAttributesKeepTheirTypesAndBecomeValidUtf8) {
  const midtrace::Resource resource({{"text", std::string("v\xFFlue")},
                                     {"k\xC3y", std::string("")},
                                     {"yes", true},
                                     {"no", false},
                                     {"least", std::numeric_limits<std::int64_t>::min()},
                                     {"zero", std::int64_t{0}},
                                     {"half", -0.5},
                                     {"nothing", 0.0}});
  std::string bytes;
  RecorderOptions options;
  options.more_exporters.push_back(
      std::make_shared<midtrace_test::FunctionExporter>([&](const midtrace::ExportBatch& batch) {
        ProtobufEncoder encoder;
        bytes = encoder.encode({resource, batch.spans, batch.deadline});
      }));
  {
    Recorder recorder(std::move(options));
    Tracer::get("shop").start("work").end();
    recorder.spans();
  }
  ExportTraceServiceRequest request;
  ASSERT_TRUE(request.ParseFromString(bytes));
  ASSERT_EQ(request.resource_spans_size(), 1);
  EXPECT_EQ(request.resource_spans(0).schema_url(), "");
  const auto& attributes = request.resource_spans(0).resource().attributes();
  EXPECT_EQ(attributes.size(), 8);
  EXPECT_EQ(request.resource_spans(0).resource().dropped_attributes_count(), 0U);
  EXPECT_EQ(value_of(attributes, "text").string_value(), "v\uFFFDlue");
  EXPECT_EQ(value_of(attributes, "k\uFFFDy").value_case(), AnyValue::kStringValue);
  EXPECT_TRUE(value_of(attributes, "yes").bool_value());
  EXPECT_EQ(value_of(attributes, "no").value_case(), AnyValue::kBoolValue);
  EXPECT_EQ(value_of(attributes, "least").int_value(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(value_of(attributes, "zero").value_case(), AnyValue::kIntValue);
  EXPECT_EQ(value_of(attributes, "half").double_value(), -0.5);
  EXPECT_EQ(value_of(attributes, "nothing").value_case(), AnyValue::kDoubleValue);
}

TEST(OtlpProtobuf, AScopeThatIsNotUtf8BecomesValid) {
  const ExportTraceServiceRequest request = request_of(
      [](Recorder&) { Tracer::get("sh\xFFop", "1\xC3", "https://example.org/\x80").start("work").end(); });
  const auto& scope = request.resource_spans(0).scope_spans(0);
  EXPECT_EQ(scope.scope().name(), "sh\uFFFDop");
  EXPECT_EQ(scope.scope().version(), "1\uFFFD");
  EXPECT_EQ(scope.schema_url(), "https://example.org/\uFFFD");
}

// --- structure

TEST(OtlpProtobuf, SpansStandBelowTheirScopesInOrderOfAppearance) {
  const ExportTraceServiceRequest request = request_of([](Recorder&) {
    Tracer::get("one", "1").start("a").end();
    Tracer::get("two").start("b").end();
    Tracer::get("one", "1").start("c").end();
    Tracer::get("one", "2").start("d").end();
  });
  std::vector<std::string> found;
  for (const auto& scope : request.resource_spans(0).scope_spans()) {
    for (const auto& span : scope.spans())
      found.push_back(scope.scope().name() + scope.scope().version() + ":" + span.name());
  }
  EXPECT_THAT(found, ElementsAre("one1:a", "one1:c", "two:b", "one2:d"));
}

TEST(OtlpProtobuf, WhatWasDroppedIsCounted) {
  RecorderOptions options;
  options.limits.attribute_count = 1;
  options.limits.event_count = 1;
  options.limits.link_count = 1;
  options.limits.event_attribute_count = 1;
  options.limits.link_attribute_count = 1;
  const message::Span span = only_span_of(
      [](Recorder&) {
        Span s = Tracer::get("shop").start("work");
        const midtrace::Attribute attributes[] = {{"a", 1}, {"b", 2}, {"c", 3}};
        for (int i = 0; i < 3; ++i) {
          s.set("key" + std::to_string(i), i);
          s.add_event("event", {{"a", 1}, {"b", 2}});
          s.add_link({remote_context(), attributes});
        }
      },
      std::move(options));
  EXPECT_EQ(span.attributes_size(), 1);
  EXPECT_EQ(span.dropped_attributes_count(), 2U);
  ASSERT_EQ(span.events_size(), 1);
  EXPECT_EQ(span.dropped_events_count(), 2U);
  EXPECT_EQ(span.events(0).dropped_attributes_count(), 1U);
  ASSERT_EQ(span.links_size(), 1);
  EXPECT_EQ(span.dropped_links_count(), 2U);
  EXPECT_EQ(span.links(0).dropped_attributes_count(), 2U);
}

TEST(OtlpProtobuf, StatusOkAndErrorWithoutADescription) {
  EXPECT_EQ(only_span_of([](Recorder&) {
              Span s = Tracer::get("shop").start("work");
              s.set_status(midtrace::StatusCode::ok);
            })
                .status()
                .ShortDebugString(),
            "code: STATUS_CODE_OK");
  EXPECT_EQ(only_span_of([](Recorder&) {
              Span s = Tracer::get("shop").start("work");
              s.set_status(midtrace::StatusCode::error, "");
            })
                .status()
                .ShortDebugString(),
            "code: STATUS_CODE_ERROR");
}

#if MIDTRACE_TEST_OWN_HEAP  // sanitizers bring a heap of their own, which is not counted
TEST(OtlpProtobuf, ASteadyStateAllocatesNothing) {
  std::uint64_t allocations = ~std::uint64_t{0};
  ProtobufEncoder encoder;
  RecorderOptions options;
  options.more_exporters.push_back(
      std::make_shared<midtrace_test::FunctionExporter>([&](const midtrace::ExportBatch& batch) {
        encoder.encode(batch);
        const std::uint64_t before = midtrace::test::allocations_of_this_thread();
        encoder.encode(batch);
        allocations = midtrace::test::allocations_of_this_thread() - before;
      }));
  Recorder recorder(std::move(options));
  for (int i = 0; i < 50; ++i) {
    Span span = Tracer::get("shop").start("work");
    const std::string_view strings[] = {"a", "n\xFFt quite a short text"};
    span.set("strings", std::span<const std::string_view>(strings));
    span.set("n\xFFme that is longer than a small string", "v\xFFlue that is longer than a small string");
    span.add_event("event", {{"a", 1}});
    span.add_link({remote_context(), {}});
  }
  recorder.spans();
  EXPECT_EQ(allocations, 0U);
}
#endif

}  // namespace

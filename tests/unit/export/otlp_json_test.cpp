// A batch of spans as one OTLP/JSON object, read back by an independent parser.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include <midtrace/export/exporters.h>
#include <midtrace/trace/tracer.h>

#include "captured_batch.h"
#include "support/allocations.h"

namespace {

using midtrace::Span;
using midtrace::Tracer;
using midtrace::testing::Recorder;
using midtrace::testing::RecorderOptions;
using midtrace_test::otlp_json_of;
using nlohmann::json;
using testing::ElementsAre;

// The only batch that `trace` makes, parsed.
json batch_of(const std::function<void(Recorder&)>& trace, RecorderOptions options = {}) {
  const std::vector<std::string> lines = otlp_json_of(trace, std::move(options));
  EXPECT_EQ(lines.size(), 1U);
  return lines.empty() ? json() : json::parse(lines[0]);
}

json only_span_of(const std::function<void(Recorder&)>& trace, RecorderOptions options = {}) {
  const json batch = batch_of(trace, std::move(options));
  EXPECT_EQ(batch["resourceSpans"][0]["scopeSpans"].size(), 1U);
  EXPECT_EQ(batch["resourceSpans"][0]["scopeSpans"][0]["spans"].size(), 1U);
  return batch["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
}

json value_of(const json& attributes, const std::string& key) {
  for (const json& attribute : attributes) {
    if (attribute["key"] == key) return attribute["value"];
  }
  return "(absent)";
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

// --- the text, character by character
// -----------------------------------------------------------------------------

TEST(OtlpJson, IsExactlyThis) {
  const std::vector<std::string> lines = otlp_json_of([](Recorder& recorder) {
    const midtrace::Context parent{.span = remote_context(), .baggage = {}};
    Span span = Tracer::get("shop", "1.2", "https://example.org/schema")
                    .start("send \"orders\"", {.kind = midtrace::SpanKind::producer, .parent = &parent});
    span.set("text", "caf\u00E9\n");
    span.set("whole", std::int64_t{-7});
    span.set("part", 0.5);
    span.set("flag", true);
    recorder.clock().advance(std::chrono::milliseconds(2));
    span.add_event("retry", {{"attempt", 2}});
    span.add_link({remote_context(), {}});
    span.set_status(midtrace::StatusCode::error, "refused");
    recorder.clock().advance(std::chrono::milliseconds(1));
  });
  EXPECT_THAT(
      lines,
      ElementsAre(
          R"({"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"test"}},)"
          R"({"key":"telemetry.sdk.name","value":{"stringValue":"midtrace"}},)"
          R"({"key":"telemetry.sdk.language","value":{"stringValue":"cpp"}},)"
          R"({"key":"telemetry.sdk.version","value":{"stringValue":"0.1.0"}}]},)"
          R"("scopeSpans":[{"scope":{"name":"shop","version":"1.2"},"spans":[)"
          R"({"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"0000000000000001",)"
          R"("traceState":"vendor=a:1,other=b","parentSpanId":"00f067aa0ba902b7","flags":769,)"
          R"("name":"send \"orders\"","kind":4,)"
          R"("startTimeUnixNano":"1704067200000000000","endTimeUnixNano":"1704067200003000000",)"
          R"("attributes":[{"key":"text","value":{"stringValue":")"
          "caf\u00E9"
          R"(\n"}},)"
          R"({"key":"whole","value":{"intValue":"-7"}},)"
          R"({"key":"part","value":{"doubleValue":0.5}},)"
          R"({"key":"flag","value":{"boolValue":true}}],)"
          R"("events":[{"timeUnixNano":"1704067200002000000","name":"retry",)"
          R"("attributes":[{"key":"attempt","value":{"intValue":"2"}}]}],)"
          R"("links":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7",)"
          R"("traceState":"vendor=a:1,other=b","flags":769}],)"
          R"("status":{"code":2,"message":"refused"}}],)"
          R"("schemaUrl":"https://example.org/schema"}]}]})"));
}

TEST(OtlpJson, ABareSpanLeavesEverythingElseOut) {
  const std::vector<std::string> lines =
      otlp_json_of([](Recorder&) { Span span = Tracer::get("shop").start("work"); });
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_THAT(lines[0],
              testing::EndsWith(
                  R"("scopeSpans":[{"scope":{"name":"shop"},"spans":[)"
                  R"({"traceId":"00000000000000000000000000000001","spanId":"0000000000000001","flags":257,)"
                  R"("name":"work","kind":1,)"
                  R"("startTimeUnixNano":"1704067200000000000","endTimeUnixNano":"1704067200000000000",)"
                  R"("status":{}}]}]}]})"));
}

// --- values
// -------------------------------------------------------------------------------------------------------

TEST(OtlpJson, ArraysOfEveryTypeAreValuesOfTheirOwn) {
  const json span = only_span_of([](Recorder&) {
    Span s = Tracer::get("shop").start("work");
    const std::string_view strings[] = {"a", "\"b\""};
    const bool flags[] = {true, false};
    const std::int64_t integers[] = {1, -9007199254740993};
    const double reals[] = {0.5, INFINITY};
    s.set("strings", std::span<const std::string_view>(strings));
    s.set("flags", std::span<const bool>(flags));
    s.set("integers", std::span<const std::int64_t>(integers));
    s.set("reals", std::span<const double>(reals));
    s.set("none", std::span<const double>());
  });
  const json& attributes = span["attributes"];
  EXPECT_EQ(value_of(attributes, "strings"),
            json::parse(R"({"arrayValue":{"values":[{"stringValue":"a"},{"stringValue":"\"b\""}]}})"));
  EXPECT_EQ(value_of(attributes, "flags"),
            json::parse(R"({"arrayValue":{"values":[{"boolValue":true},{"boolValue":false}]}})"));
  EXPECT_EQ(value_of(attributes, "integers"),
            json::parse(R"({"arrayValue":{"values":[{"intValue":"1"},{"intValue":"-9007199254740993"}]}})"));
  EXPECT_EQ(value_of(attributes, "reals"),
            json::parse(R"({"arrayValue":{"values":[{"doubleValue":0.5},{"doubleValue":"Infinity"}]}})"));
  EXPECT_EQ(value_of(attributes, "none"), json::parse(R"({"arrayValue":{"values":[]}})"));
}

TEST(OtlpJson, HostileBytesInEveryTextAreStillValidJson) {
  const std::string hostile = std::string("\0\xFF\"\\\n", 5) + "\xED\xA0\x80";
  const std::string shown = std::string("\0\xEF\xBF\xBD\"\\\n", 7) + "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD";
  const json span = only_span_of([&](Recorder&) {
    Span s = Tracer::get("shop").start(hostile);
    s.set(hostile, hostile);
    s.add_event(hostile, {{hostile, hostile}});
    s.set_status(midtrace::StatusCode::error, hostile);
  });
  EXPECT_EQ(span["name"], shown);
  EXPECT_EQ(span["attributes"][0]["key"], shown);
  EXPECT_EQ(span["attributes"][0]["value"]["stringValue"], shown);
  EXPECT_EQ(span["events"][0]["name"], shown);
  EXPECT_EQ(span["events"][0]["attributes"][0]["key"], shown);
  EXPECT_EQ(span["status"]["message"], shown);
}

TEST(OtlpJson, NumbersThatJsonLacksAreStrings) {
  const json span = only_span_of([](Recorder&) {
    Span s = Tracer::get("shop").start("work");
    s.set("nan", std::nan(""));
    s.set("low", -INFINITY);
  });
  EXPECT_EQ(value_of(span["attributes"], "nan")["doubleValue"], "NaN");
  EXPECT_EQ(value_of(span["attributes"], "low")["doubleValue"], "-Infinity");
}

// --- status, kind, flags, counts
// ----------------------------------------------------------------------------------

TEST(OtlpJson, StatusIsEmptyOkOrErrorWithItsMessage) {
  const auto status_of = [](midtrace::StatusCode code, std::string_view description) {
    return only_span_of([&](Recorder&) {
      Span s = Tracer::get("shop").start("work");
      s.set_status(code, description);
    })["status"];
  };
  EXPECT_EQ(status_of(midtrace::StatusCode::unset, ""), json::object());
  EXPECT_EQ(status_of(midtrace::StatusCode::ok, "ignored"), json::parse(R"({"code":1})"));
  EXPECT_EQ(status_of(midtrace::StatusCode::error, ""), json::parse(R"({"code":2})"));
  EXPECT_EQ(status_of(midtrace::StatusCode::error, "why"), json::parse(R"({"code":2,"message":"why"})"));
}

TEST(OtlpJson, KindsAreTheNumbersOfOtlp) {
  using midtrace::SpanKind;
  int expected = 1;
  for (const SpanKind kind :
       {SpanKind::internal, SpanKind::server, SpanKind::client, SpanKind::producer, SpanKind::consumer}) {
    const json span =
        only_span_of([&](Recorder&) { Span s = Tracer::get("shop").start("work", {.kind = kind}); });
    EXPECT_EQ(span["kind"], expected++);
  }
}

TEST(OtlpJson, FlagsSayWhetherTheParentIsRemote) {
  const json batch = batch_of([](Recorder&) {
    const midtrace::Context remote{.span = remote_context(), .baggage = {}};
    Span server = Tracer::get("shop").start("server", {.parent = &remote});
    const midtrace::Context local{.span = server.context(), .baggage = {}};
    Span child = Tracer::get("shop").start("child", {.parent = &local});
  });
  const json& spans = batch["resourceSpans"][0]["scopeSpans"][0]["spans"];
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_EQ(spans[0]["name"], "child");
  EXPECT_EQ(spans[0]["flags"], 0x101);
  EXPECT_EQ(spans[1]["flags"], 0x301);
}

TEST(OtlpJson, WhatWasDroppedIsCountedWhereItWasDropped) {
  RecorderOptions options;
  options.limits.attribute_count = 1;
  options.limits.event_count = 1;
  options.limits.link_count = 1;
  options.limits.event_attribute_count = 1;
  options.limits.link_attribute_count = 0;
  const json span = only_span_of(
      [](Recorder&) {
        Span s = Tracer::get("shop").start("work");
        const midtrace::Attribute link_attributes[] = {{"l", 1}};
        for (int i = 0; i < 3; ++i) {
          s.set("key" + std::to_string(i), i);
          s.add_event("event", {{"a", 1}, {"b", 2}});
          s.add_link({remote_context(), link_attributes});
        }
      },
      std::move(options));
  EXPECT_EQ(span["droppedAttributesCount"], 2);
  EXPECT_EQ(span["droppedEventsCount"], 2);
  EXPECT_EQ(span["droppedLinksCount"], 2);
  EXPECT_EQ(span["events"].size(), 1U);
  EXPECT_EQ(span["events"][0]["droppedAttributesCount"], 1);
  EXPECT_EQ(span["links"].size(), 1U);
  EXPECT_EQ(span["links"][0]["droppedAttributesCount"], 1);
}

// --- structure
// ----------------------------------------------------------------------------------------------------

TEST(OtlpJson, SpansAreGroupedByScopeInOrderOfAppearance) {
  const json batch = batch_of([](Recorder&) {
    for (int i = 0; i < 3; ++i) {
      Span a = Tracer::get("a").start("a" + std::to_string(i));
      a.end();
      Span b = Tracer::get("b", "2").start("b" + std::to_string(i));
      b.end();
    }
    Span newer = Tracer::get("b", "3").start("newer");
  });
  const json& scopes = batch["resourceSpans"][0]["scopeSpans"];
  ASSERT_EQ(scopes.size(), 3U);
  const auto names = [](const json& scope) {
    std::vector<std::string> result;
    for (const json& span : scope["spans"])
      result.push_back(span["name"]);
    return result;
  };
  EXPECT_EQ(scopes[0]["scope"], json::parse(R"({"name":"a"})"));
  EXPECT_THAT(names(scopes[0]), ElementsAre("a0", "a1", "a2"));
  EXPECT_EQ(scopes[1]["scope"], json::parse(R"({"name":"b","version":"2"})"));
  EXPECT_THAT(names(scopes[1]), ElementsAre("b0", "b1", "b2"));
  EXPECT_EQ(scopes[2]["scope"]["version"], "3");
  EXPECT_THAT(names(scopes[2]), ElementsAre("newer"));
}

TEST(OtlpJson, ManyScopesAreAllThereOnce) {
  constexpr int scopes_wanted = 100;
  const json batch = batch_of([](Recorder&) {
    for (int round = 0; round < 2; ++round) {
      for (int i = 0; i < scopes_wanted; ++i) {
        Span s = Tracer::get("scope " + std::to_string(i)).start("work");
      }
    }
  });
  const json& scopes = batch["resourceSpans"][0]["scopeSpans"];
  ASSERT_EQ(scopes.size(), static_cast<std::size_t>(scopes_wanted));
  for (int i = 0; i < scopes_wanted; ++i) {
    EXPECT_EQ(scopes[static_cast<std::size_t>(i)]["scope"]["name"], "scope " + std::to_string(i));
    EXPECT_EQ(scopes[static_cast<std::size_t>(i)]["spans"].size(), 2U);
  }
}

TEST(OtlpJson, ResourceAttributesKeepTheirTypes) {
  std::string line;
  midtrace::SetupOptions options;
  options.read_environment = false;
  options.service_name = "typed";
  options.resource = {{"whole", std::int64_t{5}}, {"part", 1.5}, {"flag", false}};
  options.exporters.push_back(std::make_shared<midtrace_test::FunctionExporter>(
      [&line](const midtrace::ExportBatch& batch) { midtrace::append_otlp_json(line, batch); }));
  {
    midtrace::Telemetry telemetry = midtrace::setup(std::move(options));
    ASSERT_TRUE(telemetry.ok()) << telemetry.error();
    { Span s = Tracer::get("shop").start("work"); }
    EXPECT_TRUE(telemetry.flush());
  }
  const json attributes = json::parse(line)["resourceSpans"][0]["resource"]["attributes"];
  EXPECT_EQ(value_of(attributes, "service.name"), json::parse(R"({"stringValue":"typed"})"));
  EXPECT_EQ(value_of(attributes, "whole"), json::parse(R"({"intValue":"5"})"));
  EXPECT_EQ(value_of(attributes, "part"), json::parse(R"({"doubleValue":1.5})"));
  EXPECT_EQ(value_of(attributes, "flag"), json::parse(R"({"boolValue":false})"));
}

TEST(OtlpJson, ABatchIsAppendedToWhatIsThere) {
  std::string out = "kept ";
  Recorder recorder(midtrace_test::recording_into(std::make_shared<midtrace_test::FunctionExporter>(
      [&out](const midtrace::ExportBatch& batch) { midtrace::append_otlp_json(out, batch); })));
  { Span s = Tracer::get("shop").start("work"); }
  recorder.spans();
  EXPECT_THAT(out, testing::StartsWith(R"(kept {"resourceSpans":)"));
}

// --- cost
// ---------------------------------------------------------------------------------------------------------

TEST(OtlpJson, EncodingIntoAReusedStringAllocatesNothing) {
  std::uint64_t allocations = 0;
  std::size_t spans = 0;
  {
    Recorder recorder(midtrace_test::recording_into(
        std::make_shared<midtrace_test::FunctionExporter>([&](const midtrace::ExportBatch& batch) {
          std::string out;
          midtrace::append_otlp_json(out, batch);
          out.clear();
          const auto before = midtrace::test::allocations_of_this_thread();
          midtrace::append_otlp_json(out, batch);
          allocations += midtrace::test::allocations_of_this_thread() - before;
          spans += batch.spans.size();
        })));
    for (int i = 0; i < 100; ++i) {
      Span s = Tracer::get(i % 2 == 0 ? "even" : "odd").start("work");
      for (int k = 0; k < 20; ++k)
        s.set("key" + std::to_string(k), "value \"\xFF\n");
      s.add_event("event", {{"a", 0.1}});
      s.add_link({remote_context(), {}});
    }
    recorder.spans();
  }
  EXPECT_EQ(spans, 100U);
  EXPECT_EQ(allocations, 0U);
}

}  // namespace

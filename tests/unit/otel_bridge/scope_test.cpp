// One current context for both sides.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <thread>

#include <midtrace/context/bind.h>
#include <midtrace/trace/current_span.h>
#include <midtrace/trace/tracer.h>

#include <opentelemetry/baggage/baggage_context.h>
#include <opentelemetry/context/runtime_context.h>
#include <opentelemetry/trace/context.h>
#include <opentelemetry/trace/scope.h>

#include "support/bridge_recorder.h"

namespace midtrace::test {
namespace {

namespace api = opentelemetry;
using api::context::RuntimeContext;

Tracer tracer() { return Tracer::get("library"); }

std::string current_of_application() {
  char text[16];
  api::trace::GetSpanContext(RuntimeContext::GetCurrent()).span_id().ToLowerBase16(text);
  return {text, sizeof text};
}

std::string application_baggage(const std::string& key) {
  std::string value;
  return api::baggage::GetBaggage(RuntimeContext::GetCurrent())->GetValue(key, value) ? value : "(none)";
}

const std::string none = "0000000000000000";

TEST(BridgedScopes, areCurrentForTheApplicationUntilTheyEnd) {
  BridgeRecorder recorder;
  EXPECT_EQ(current_of_application(), none);
  const Span outer = tracer().start("outer");
  {
    const Scope in_outer = outer.activate();
    EXPECT_EQ(current_of_application(), outer.context().span_id.to_string());
    const Span inner = tracer().start("inner");
    {
      const Scope in_inner = inner.activate();
      EXPECT_EQ(current_of_application(), inner.context().span_id.to_string());
    }
    EXPECT_EQ(current_of_application(), outer.context().span_id.to_string());
  }
  EXPECT_EQ(current_of_application(), none);
  EXPECT_TRUE(RuntimeContext::GetCurrent() == api::context::Context());
}

TEST(BridgedScopes, ofTheApplicationAreOurs) {
  BridgeRecorder recorder;
  EXPECT_FALSE(Context::current().span.valid());
  const auto request = recorder.tracer()->StartSpan("request");
  {
    const api::trace::Scope scope(request);
    EXPECT_EQ(Context::current().span.span_id.to_string(), current_of_application());
    EXPECT_TRUE(Context::current().span.sampled());
  }
  EXPECT_FALSE(Context::current().span.valid());
}

TEST(BridgedScopes, keepTheApplicationsOwnEntries) {
  BridgeRecorder recorder;
  const auto token = RuntimeContext::Attach(RuntimeContext::SetValue("mine", std::int64_t{7}));
  const Span span = tracer().start("span");
  const Scope scope = span.activate();
  EXPECT_EQ(api::nostd::get<std::int64_t>(RuntimeContext::GetValue("mine")), 7);
}

TEST(BridgedScopes, thatOnlyChangeBaggageLeaveTheApplicationItsSpan) {
  BridgeRecorder recorder;
  const auto request = recorder.tracer()->StartSpan("request");
  const api::trace::Scope in_request(request);
  Context context = Context::current();
  context.baggage = context.baggage.with("tenant", "blue");
  const Scope scope(context);
  EXPECT_EQ(api::trace::Tracer::GetCurrentSpan().get(), request.get());
}

TEST(BridgedScopes, ofANothingHideTheApplicationsSpan) {
  BridgeRecorder recorder;
  const auto request = recorder.tracer()->StartSpan("request");
  const api::trace::Scope in_request(request);
  const Scope scope{Context{}};
  EXPECT_EQ(current_of_application(), none);
  EXPECT_FALSE(Context::current().span.valid());
}

TEST(BridgedScopes, giveBaggageToTheApplication) {
  BridgeRecorder recorder;
  Context context;
  context.baggage = Baggage().with("tenant", "blue").with("plan", "gold", "ttl=3");
  {
    const Scope scope(context);
    EXPECT_EQ(application_baggage("tenant"), "blue");
    EXPECT_EQ(application_baggage("plan"), "gold;ttl=3");
    EXPECT_EQ(Context::current().baggage, context.baggage);
    const Span span = tracer().start("span");
    const Scope in_span = span.activate();
    EXPECT_EQ(application_baggage("tenant"), "blue");
  }
  EXPECT_EQ(application_baggage("tenant"), "(none)");
}

TEST(BridgedScopes, takeBaggageFromTheApplication) {
  BridgeRecorder recorder;
  const auto baggage = api::baggage::Baggage::GetDefault()->Set("tenant", "blue")->Set("plan", "gold;ttl=3");
  api::context::Context with = RuntimeContext::GetCurrent();
  const auto token = RuntimeContext::Attach(api::baggage::SetBaggage(with, baggage));
  EXPECT_EQ(Context::current().baggage.get("tenant"), "blue");
  EXPECT_EQ(Context::current().baggage.find("plan")->metadata, "ttl=3");
  const Span span = tracer().start("span");
  const Scope scope = span.activate();
  EXPECT_EQ(Context::current().baggage.get("tenant"), "blue");
  EXPECT_EQ(application_baggage("tenant"), "blue");
  {  // the application changes it below our scope
    api::context::Context now = RuntimeContext::GetCurrent();
    const auto changed = RuntimeContext::Attach(api::baggage::SetBaggage(now, baggage->Set("tenant", "red")));
    EXPECT_EQ(Context::current().baggage.get("tenant"), "red");
    EXPECT_EQ(Context::current().span, span.context());
  }
  EXPECT_EQ(Context::current().baggage.get("tenant"), "blue");
}

// In opentelemetry-cpp everything behind a ';' is metadata, which its propagator writes as it is.
TEST(BridgedScopes, giveBaggageWithSemicolonsToTheApplicationInOnePiece) {
  BridgeRecorder recorder;
  Context context;
  context.baggage = Baggage()
                        .with("plain", "50% off")
                        .with("split", "a;b=50%")
                        .with("both", "a;b", "ttl=3")
                        .with("unfit", "v", "x,evil=1");
  const Scope scope(context);
  EXPECT_EQ(application_baggage("plain"), "50% off");
  EXPECT_EQ(application_baggage("split"), "a%3Bb=50%25");
  EXPECT_EQ(application_baggage("both"), "a%3Bb;ttl=3");
  EXPECT_EQ(application_baggage("unfit"), "v") << "metadata that is none would be a member of its own there";
  // The application changes something else, and has the whole baggage in its own form then.
  api::context::Context now = RuntimeContext::GetCurrent();
  const auto changed =
      RuntimeContext::Attach(api::baggage::SetBaggage(now, api::baggage::GetBaggage(now)->Set("x", "1")));
  const Baggage seen = Context::current().baggage;
  EXPECT_EQ(seen.get("x"), "1");
  EXPECT_EQ(seen.get("plain"), "50% off");
  EXPECT_EQ(seen.get("split"), "a;b=50%");
  EXPECT_EQ(seen.find("both")->value, "a;b");
  EXPECT_EQ(seen.find("both")->metadata, "ttl=3");
}

TEST(BridgedScopes, takeOnlyMetadataOffTheApplicationsBaggage) {
  struct Case {
    const char* held;
    const char* value;
    const char* metadata;
  };
  const Case cases[] = {
      {"gold;ttl=3", "gold", "ttl=3"},
      {"gold; ttl=3 ;shared", "gold", "ttl=3 ;shared"},
      {"left;right and more", "left;right and more", ""},
      {"a;b,c", "a;b,c", ""},
      {"a;", "a;", ""},
      {";", ";", ""},
      {"a;=b", "a;=b", ""},
      {"a%3Bb", "a%3Bb", ""},
      {"100%", "100%", ""},
  };
  BridgeRecorder recorder;
  for (const Case& each : cases) {
    api::context::Context with = RuntimeContext::GetCurrent();
    const auto token = RuntimeContext::Attach(
        api::baggage::SetBaggage(with, api::baggage::Baggage::GetDefault()->Set("key", each.held)));
    const Baggage baggage = Context::current().baggage;
    const auto seen = baggage.find("key");
    ASSERT_TRUE(seen.has_value()) << each.held;
    EXPECT_EQ(seen->value, each.value) << each.held;
    EXPECT_EQ(seen->metadata, each.metadata) << each.held;
  }
}

TEST(BridgedScopes, keepSuppressionBelowTheApplicationsScopes) {
  BridgeRecorder recorder;
  const Scope scope(suppressed(Context::current()));
  EXPECT_TRUE(Context::current().suppressed);
  const auto request = recorder.tracer()->StartSpan("request");
  const api::trace::Scope in_request(request);
  EXPECT_TRUE(Context::current().suppressed);
  EXPECT_EQ(Context::current().span.span_id.to_string(), current_of_application());
}

TEST(BridgedScopes, keepTracestate) {
  BridgeRecorder recorder;
  Context received;
  received.span = {{1, 2}, {3}, {1}, true, TraceState::parse("vendor=1")};
  const Scope scope(received);
  EXPECT_EQ(api::trace::GetSpanContext(RuntimeContext::GetCurrent()).trace_state()->ToHeader(), "vendor=1");
  EXPECT_TRUE(api::trace::GetSpanContext(RuntimeContext::GetCurrent()).IsRemote());
  EXPECT_EQ(Context::current(), received);
}

TEST(BridgedScopes, thatEndOutOfOrderLeaveTheInnerOneCurrent) {
  BridgeRecorder recorder;
  const Span outer = tracer().start("outer");
  const Span inner = tracer().start("inner");
  std::optional<Scope> in_outer(std::in_place, Context{outer.context(), {}, false});
  {
    const Scope in_inner = inner.activate();
    in_outer->end();
    EXPECT_EQ(current_of_application(), inner.context().span_id.to_string());
    EXPECT_EQ(Context::current().span, inner.context());
  }
  EXPECT_FALSE(Context::current().span.valid());
  EXPECT_EQ(current_of_application(), none);
  EXPECT_EQ(recorder.counters()[Counter::scopes_ended_out_of_order], 1U);
}

TEST(BridgedScopes, thatEndBelowOneOfTheApplicationLeaveThatCurrent) {
  BridgeRecorder recorder;
  const Span span = tracer().start("span");
  std::optional<Scope> in_span(std::in_place, Context{span.context(), {}, false});
  {
    const auto request = recorder.tracer()->StartSpan("request");
    const api::trace::Scope in_request(request);
    const std::string id = current_of_application();
    in_span->end();
    EXPECT_EQ(current_of_application(), id);
  }
  EXPECT_FALSE(Context::current().span.valid());
  EXPECT_EQ(current_of_application(), none);
}

TEST(BridgedScopes, thatTheApplicationCutOffEndQuietly) {
  BridgeRecorder recorder;
  for (int i = 0; i < 3000; ++i) {  // more than may wait
    const Span span = tracer().start("span");
    auto token = RuntimeContext::Attach(RuntimeContext::SetValue("mine", std::int64_t{7}));
    const Scope scope = span.activate();
    token.reset();  // opentelemetry-cpp pops what is above
    EXPECT_EQ(current_of_application(), none);
  }
  EXPECT_TRUE(RuntimeContext::GetCurrent() == api::context::Context());
}

TEST(BridgedScopes, thatEndOnAnotherThreadAreRepairedOnTheirOwn) {
  BridgeRecorder recorder;
  const Span span = tracer().start("span");
  std::optional<Scope> scope(std::in_place, Context{span.context(), {}, false});
  std::thread([&] { scope->end(); }).join();
  EXPECT_FALSE(Context::current().span.valid());
  EXPECT_EQ(current_of_application(), none);
  EXPECT_EQ(recorder.counters()[Counter::scopes_ended_elsewhere], 1U);
}

TEST(BridgedScopes, travelToOtherThreads) {
  BridgeRecorder recorder;
  Span span = tracer().start("span");
  const Scope scope = span.activate();
  std::thread(bind([&] {
    EXPECT_EQ(current_of_application(), span.context().span_id.to_string());
    EXPECT_EQ(Context::current().span, span.context());
    EXPECT_FALSE(current_span().recording()) << "the span belongs to the other thread";
  })).join();
  // The application's own way.
  std::thread([&, context = RuntimeContext::GetCurrent()] {
    const auto token = RuntimeContext::Attach(context);
    EXPECT_EQ(Context::current().span, span.context());
    EXPECT_FALSE(current_span().recording());
  }).join();
}

TEST(BridgedScopes, letCurrentSpanAnnotate) {
  BridgeRecorder recorder;
  EXPECT_FALSE(current_span().recording());
  {
    Span span = tracer().start("span");
    const Scope scope = span.activate();
    current_span().set("lines", 3);
    {
      const auto request = recorder.tracer()->StartSpan("request");
      const api::trace::Scope in_request(request);
      EXPECT_FALSE(current_span().recording()) << "the innermost is the application's";
    }
    EXPECT_TRUE(current_span().recording());
    span.end();
    EXPECT_FALSE(current_span().recording());
  }
  EXPECT_EQ(recorder.spans().back().attribute("lines"), "3");
}

TEST(BridgedScopes, ofAnEndedSpanAreBareContexts) {
  BridgeRecorder recorder;
  Span span = tracer().start("span");
  span.end();
  const Scope scope = span.activate();
  EXPECT_EQ(current_of_application(), span.context().span_id.to_string());
  EXPECT_FALSE(api::trace::Tracer::GetCurrentSpan()->IsRecording());
}

}  // namespace
}  // namespace midtrace::test

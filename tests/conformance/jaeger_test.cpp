// Jaeger's propagation format: each row is one of its rules, as headers in and headers out of a service that
// continues exactly what it received.
#include <midtrace/propagation/jaeger.h>

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "unit/propagation/list_carrier.h"

namespace {

using midtrace::Baggage;
using midtrace::Context;
using midtrace::Counter;
using midtrace::JaegerPropagator;
using midtrace_test::Counted;
using midtrace_test::ListCarrier;

const std::string trace_id = "80f198ee56343ba864fe8b2a57d3eff7";
const std::string span_id = "e457b5a2e4d86bd1";
const std::string ids = trace_id + ":" + span_id;
const std::string zeros(64, '0');

std::string forwarded(const std::vector<ListCarrier::Field>& fields, bool like_http = false) {
  Context context;
  const JaegerPropagator propagator;
  propagator.extract(ListCarrier(fields, like_http), context);
  ListCarrier out({}, like_http);
  propagator.inject(context, out);
  return out.text();
}

std::string padded(const std::string& trace, const std::string& span) {
  return zeros.substr(0, 32 - trace.size()) + trace + ":" + zeros.substr(0, 16 - span.size()) + span;
}

struct ContextRow {
  const char* rule;
  std::string header;
  std::string sent;  // empty: the trace restarts
};

TEST(JaegerTraceId, FollowsEveryRule) {
  const ContextRow rows[] = {
      {"sampled", ids + ":0:1", ids + ":0:1"},
      {"not sampled", ids + ":0:0", ids + ":0:0"},
      {"debug", ids + ":0:3", ids + ":0:3"},
      {"debug without sampled means nothing", ids + ":0:2", ids + ":0:0"},
      {"firehose is not for us", ids + ":0:8", ids + ":0:0"},
      {"sampled firehose", ids + ":0:9", ids + ":0:1"},
      {"two digits of flags", ids + ":0:01", ids + ":0:1"},
      {"unknown flags", ids + ":0:f0", ids + ":0:0"},
      {"all flags", ids + ":0:ff", ids + ":0:3"},
      {"flags in upper case", ids + ":0:0F", ids + ":0:3"},
      {"a parent is ignored", ids + ":05e3ac9a4f6e3b90:1", ids + ":0:1"},
      {"a short parent", ids + ":5e:1", ids + ":0:1"},
      {"no parent", ids + "::1", ids + ":0:1"},
      {"a short trace id", "1:" + span_id + ":0:1", padded("1", span_id) + ":0:1"},
      {"a trace id of 64 bits", "80f198ee56343ba8:" + span_id + ":0:1",
       padded("80f198ee56343ba8", span_id) + ":0:1"},
      {"a trace id of 17 digits", "180f198ee56343ba8:" + span_id + ":0:1",
       padded("180f198ee56343ba8", span_id) + ":0:1"},
      {"a trace id of 31 digits", trace_id.substr(1) + ":" + span_id + ":0:1",
       padded(trace_id.substr(1), span_id) + ":0:1"},
      {"a short span id", trace_id + ":a:0:1", padded(trace_id, "a") + ":0:1"},
      {"ids in upper case", "80F198EE56343BA864FE8B2A57D3EFF7:E457B5A2E4D86BD1:0:1", ids + ":0:1"},
      {"encoded colons", trace_id + "%3A" + span_id + "%3A0%3A1", ids + ":0:1"},
      {"encoded colons in lower case", trace_id + "%3a" + span_id + "%3a0%3a1", ids + ":0:1"},
      {"encoded colons and others", trace_id + "%3A" + span_id + ":0%3A1", ids + ":0:1"},
      {"blanks around", " " + ids + ":0:1\t", ids + ":0:1"},

      {"empty", "", ""},
      {"one part", trace_id, ""},
      {"two parts", ids, ""},
      {"three parts", ids + ":0", ""},
      {"five parts", ids + ":0:1:0", ""},
      {"no flags", ids + ":0:", ""},
      {"three digits of flags", ids + ":0:001", ""},
      {"flags not hexadecimal", ids + ":0:x", ""},
      {"no trace id", ":" + span_id + ":0:1", ""},
      {"no span id", trace_id + "::0:1", ""},
      {"trace id zero", "0:" + span_id + ":0:1", ""},
      {"trace id all zero", zeros.substr(32) + ":" + span_id + ":0:1", ""},
      {"span id zero", trace_id + ":0:0:1", ""},
      {"trace id of 33 digits", "0" + ids + ":0:1", ""},
      {"span id of 17 digits", trace_id + ":0" + span_id + ":0:1", ""},
      {"parent of 17 digits", ids + ":0" + span_id + ":1", ""},
      {"trace id not hexadecimal", "x:" + span_id + ":0:1", ""},
      {"span id not hexadecimal", trace_id + ":x:0:1", ""},
      {"parent not hexadecimal", ids + ":x:1", ""},
      {"a sign", "-1:" + span_id + ":0:1", ""},
      {"hexadecimal prefix", "0x1:" + span_id + ":0:1", ""},
      {"another encoded character", trace_id + "%3B" + span_id + "%3A0%3A1", ""},
      {"a cut escape", trace_id + "%3" + span_id + ":0:1", ""},
      {"blank inside", trace_id + ": " + span_id + ":0:1", ""},
      {"NUL behind", ids + ":0:1" + std::string(1, '\0'), ""},
      {"line break behind", ids + ":0:1\n", ""},
      {"huge", std::string(100000, '1'), ""},
  };
  for (const auto& row : rows) {
    const Counted counted;
    const std::string sent = row.sent.empty() ? "" : "uber-trace-id: " + row.sent + "\n";
    EXPECT_EQ(forwarded({{"uber-trace-id", row.header}}), sent) << row.rule;
    EXPECT_EQ(forwarded({{"Uber-Trace-Id", row.header}}, true), sent) << row.rule << ", on HTTP";
    EXPECT_EQ(counted[Counter::extract_malformed_jaeger], row.sent.empty() ? 2U : 0U) << row.rule;
  }
}

TEST(JaegerTraceId, HasANameOfLowerCaseInMessages) {
  EXPECT_EQ(forwarded({{"Uber-Trace-Id", ids + ":0:1"}}), "");
}

TEST(JaegerTraceId, TheLastWellFormedOneWins) {
  for (const bool like_http : {false, true})
    EXPECT_EQ(
        forwarded({{"uber-trace-id", "1:1:0:1"}, {"uber-trace-id", ids + ":0:1"}, {"uber-trace-id", "x"}},
                  like_http),
        "uber-trace-id: " + ids + ":0:1\n");
}

// `jaeger-debug-id` and `jaeger-baggage`: common/README.md says why.
TEST(JaegerHeadersForHands, AreNotRead) {
  for (const bool like_http : {false, true})
    EXPECT_EQ(forwarded({{"jaeger-debug-id", "some-id"}, {"jaeger-baggage", "a=1,b=2"}}, like_http), "");
}

struct BaggageRow {
  const char* rule;
  std::vector<ListCarrier::Field> fields;
  std::string sent;
  std::uint64_t malformed = 0;
};

TEST(JaegerBaggage, IsPlainTextInMessages) {
  const BaggageRow rows[] = {
      {"one member", {{"uberctx-a", "1"}}, "uberctx-a: 1\n"},
      {"several", {{"uberctx-a", "1"}, {"uberctx-b", "2"}}, "uberctx-a: 1\nuberctx-b: 2\n"},
      {"beside others", {{"a", "1"}, {"uberctx-b", "2"}, {"x-uberctx-c", "3"}}, "uberctx-b: 2\n"},
      {"an empty value", {{"uberctx-a", ""}}, "uberctx-a: \n"},
      {"nothing is decoded", {{"uberctx-a", "x%20y+z"}}, "uberctx-a: x%20y+z\n"},
      {"blanks belong to it", {{"uberctx-a", " x "}}, "uberctx-a:  x \n"},
      {"UTF-8", {{"uberctx-a", "\xC3\xA9"}}, "uberctx-a: \xC3\xA9\n"},
      {"the last of two wins", {{"uberctx-a", "1"}, {"uberctx-a", "2"}}, "uberctx-a: 2\n"},
      {"names are case-sensitive", {{"uberctx-A", "1"}, {"uberctx-a", "2"}}, "uberctx-A: 1\nuberctx-a: 2\n"},
      {"so is the prefix", {{"Uberctx-a", "1"}}, ""},
      {"no name", {{"uberctx-", "1"}}, "", 1},
      {"a name that is no token", {{"uberctx-a b", "1"}}, "", 1},
      {"not UTF-8", {{"uberctx-a", "\xC3"}, {"uberctx-b", "2"}}, "uberctx-b: 2\n", 1},
  };
  for (const auto& row : rows) {
    const Counted counted;
    EXPECT_EQ(forwarded(row.fields), row.sent) << row.rule;
    EXPECT_EQ(counted[Counter::extract_malformed_baggage], row.malformed) << row.rule;
  }
}

TEST(JaegerBaggage, IsUrlEncodedOnHttp) {
  const BaggageRow rows[] = {
      {"what needs no escape", {{"uberctx-a", "aZ09-_.~"}}, "uberctx-a: aZ09-_.~\n"},
      {"escapes", {{"uberctx-a", "%C3%A9%2c"}}, "uberctx-a: %C3%A9%2C\n"},
      {"a plus is a blank", {{"uberctx-a", "x+y%20z"}}, "uberctx-a: x%20y%20z\n"},
      {"an escaped plus is one", {{"uberctx-a", "x%2By"}}, "uberctx-a: x%2By\n"},
      {"what should have been escaped", {{"uberctx-a", "x/y z"}}, "uberctx-a: x%2Fy%20z\n"},
      {"not UTF-8", {{"uberctx-a", "%C3"}}, "uberctx-a: %EF%BF%BD\n"},
      {"the prefix in any case", {{"Uberctx-a", "1"}}, "uberctx-a: 1\n"},
      {"names in any case",
       {{"Uberctx-User-Id", "1"}, {"UBERCTX-B", "2"}},
       "uberctx-user-id: 1\nuberctx-b: 2\n"},
      {"names that differ in case only are one",
       {{"uberctx-Id", "1"}, {"uberctx-iD", "2"}},
       "uberctx-id: 2\n"},
      {"both in need of a change", {{"Uberctx-User", "x+y"}}, "uberctx-user: x%20y\n"},
      {"blanks around", {{"uberctx-a", " 1\t"}}, "uberctx-a: 1\n"},
      {"bytes outside ASCII", {{"uberctx-a", "\xC3\xA9"}}, "", 1},
      {"control characters", {{"uberctx-a", "x\x01y"}}, "", 1},
  };
  for (const auto& row : rows) {
    const Counted counted;
    EXPECT_EQ(forwarded(row.fields, true), row.sent) << row.rule;
    EXPECT_EQ(counted[Counter::extract_malformed_baggage], row.malformed) << row.rule;
  }
}

}  // namespace

// B3: each row is one sentence of openzipkin/b3-propagation, as headers in and headers out of a service that
// continues exactly what it received.
#include <midtrace/propagation/b3.h>

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "unit/propagation/list_carrier.h"

namespace {

using midtrace::B3Format;
using midtrace::B3Propagator;
using midtrace::Context;
using midtrace::Counter;
using midtrace_test::Counted;
using midtrace_test::ListCarrier;
using Fields = std::vector<ListCarrier::Field>;

const std::string trace_id = "80f198ee56343ba864fe8b2a57d3eff7";
const std::string low_id = "64fe8b2a57d3eff7";
const std::string padded = "0000000000000000" + low_id;
const std::string span_id = "e457b5a2e4d86bd1";
const std::string parent_id = "05e3ac9a4f6e3b90";
const std::string ids = trace_id + "-" + span_id;
const std::string zeros(32, '0');

std::string forwarded(const Fields& fields, B3Format format, bool like_http = false) {
  Context context;
  const B3Propagator propagator(format);
  propagator.extract(ListCarrier(fields, like_http), context);
  ListCarrier out;
  propagator.inject(context, out);
  return out.text();
}

struct SingleRow {
  const char* rule;
  std::string header;
  std::string sent;  // empty: nothing to go by
};

TEST(B3Single, FollowsEveryRule) {
  const SingleRow rows[] = {
      {"accepted", ids + "-1", ids + "-1"},
      {"denied", ids + "-0", ids + "-0"},
      {"forced", ids + "-d", ids + "-d"},
      {"deferred", ids, ids},
      {"the parent is ignored", ids + "-1-" + parent_id, ids + "-1"},
      {"the parent of a denied span", ids + "-0-" + parent_id, ids + "-0"},
      {"the parent of a forced span", ids + "-d-" + parent_id, ids + "-d"},
      {"64 bits are padded on the left", low_id + "-" + span_id + "-1", padded + "-" + span_id + "-1"},
      {"64 bits, deferred", low_id + "-" + span_id, padded + "-" + span_id},
      {"128 bits of which the high ones are zero", padded + "-" + span_id + "-1",
       padded + "-" + span_id + "-1"},
      {"128 bits of which the low ones are zero", low_id + "0000000000000000-" + span_id + "-1",
       low_id + "0000000000000000-" + span_id + "-1"},
      {"a denial alone", "0", "0"},
      {"an acceptance alone", "1", "1"},
      {"force alone", "d", "d"},
      {"blanks around", " \t" + ids + "-1 ", ids + "-1"},
      {"blanks around a decision", " 0 ", "0"},

      {"empty", "", ""},
      {"blank", "  ", ""},
      {"another letter alone", "2", ""},
      {"a word alone", "true", ""},
      {"upper case force", "D", ""},
      {"two digits alone", "01", ""},
      {"a trace id alone", trace_id, ""},
      {"nothing behind the trace id", trace_id + "-", ""},
      {"nothing behind the span id", ids + "-", ""},
      {"nothing behind the state", ids + "-1-", ""},
      {"a fifth part", ids + "-1-" + parent_id + "-1", ""},
      {"no trace id", "-" + span_id + "-1", ""},
      {"no span id", trace_id + "--1", ""},
      {"no state before the parent", ids + "-" + parent_id, ""},
      {"an empty state before the parent", ids + "--" + parent_id, ""},
      {"another state", ids + "-2", ""},
      {"an upper case state", ids + "-D", ""},
      {"a state of two characters", ids + "-11", ""},
      {"a state as a word", ids + "-true", ""},
      {"trace id in upper case", "80F198EE56343BA864FE8B2A57D3EFF7-" + span_id + "-1", ""},
      {"span id in upper case", trace_id + "-E457B5A2E4D86BD1-1", ""},
      {"trace id not hexadecimal", "g" + trace_id.substr(1) + "-" + span_id + "-1", ""},
      {"span id not hexadecimal", trace_id + "-" + span_id.substr(1) + "g-1", ""},
      {"trace id of 31 digits", trace_id.substr(1) + "-" + span_id + "-1", ""},
      {"trace id of 33 digits", "0" + trace_id + "-" + span_id + "-1", ""},
      {"trace id of 17 digits", "0" + low_id + "-" + span_id + "-1", ""},
      {"trace id of 15 digits", low_id.substr(1) + "-" + span_id + "-1", ""},
      {"span id of 15 digits", trace_id + "-" + span_id.substr(1) + "-1", ""},
      {"span id of 17 digits", ids + "0-1", ""},
      {"trace id all zero", zeros + "-" + span_id + "-1", ""},
      {"64 bits all zero", zeros.substr(16) + "-" + span_id + "-1", ""},
      {"span id all zero", trace_id + "-" + zeros.substr(16) + "-1", ""},
      {"parent not hexadecimal", ids + "-1-x5e3ac9a4f6e3b90", ""},
      {"parent of 15 digits", ids + "-1-" + parent_id.substr(1), ""},
      {"a hyphen as the parent", ids + "-1--", ""},
      {"blank inside", trace_id + " -" + span_id + "-1", ""},
      {"NUL behind", ids + "-1" + std::string(1, '\0'), ""},
      {"line break behind", ids + "-1\n", ""},
      {"letters outside ASCII", "\xc3\xa9" + ids, ""},
      {"a traceparent", "00-" + ids + "-01", ""},
      {"huge", std::string(100000, '0'), ""},
  };
  for (const auto& row : rows) {
    const Counted counted;
    EXPECT_EQ(forwarded({{"b3", row.header}}, B3Format::single),
              row.sent.empty() ? "" : "b3: " + row.sent + "\n")
        << row.rule;
    EXPECT_EQ(counted[Counter::extract_malformed_b3], row.sent.empty() ? 1U : 0U) << row.rule;
  }
}

struct MultiRow {
  const char* rule;
  Fields fields;
  std::string sent;  // in the format of one header; empty: nothing to go by
  std::uint64_t malformed = 0;
};

const ListCarrier::Field trace{"x-b3-traceid", trace_id};
const ListCarrier::Field span{"x-b3-spanid", span_id};
const ListCarrier::Field parent{"x-b3-parentspanid", parent_id};

ListCarrier::Field state(const char* value) { return {"x-b3-sampled", value}; }
ListCarrier::Field flags(const char* value) { return {"x-b3-flags", value}; }

TEST(B3Multi, IsReadByEveryRule) {
  const MultiRow rows[] = {
      {"accepted", {trace, span, state("1")}, ids + "-1"},
      {"denied", {trace, span, state("0")}, ids + "-0"},
      {"deferred", {trace, span}, ids},
      {"the parent is ignored", {trace, parent, span, state("1")}, ids + "-1"},
      {"even one that is none", {trace, span, state("1"), {"x-b3-parentspanid", "-"}}, ids + "-1"},
      {"in any order", {state("1"), span, trace}, ids + "-1"},
      {"older tracers say true", {trace, span, state("true")}, ids + "-1"},
      {"or false", {trace, span, state("false")}, ids + "-0"},
      {"in any case", {trace, span, state("True")}, ids + "-1"},
      {"forced", {trace, span, flags("1")}, ids + "-d"},
      {"forced wins over sampled", {trace, span, state("0"), flags("1")}, ids + "-d"},
      {"other flags are ignored", {trace, span, state("1"), flags("0")}, ids + "-1"},
      {"flags are no bit field", {trace, span, state("0"), flags("3")}, ids + "-0"},
      {"64 bits are padded on the left",
       {{"x-b3-traceid", low_id}, span, state("1")},
       padded + "-" + span_id + "-1"},
      {"a denial alone", {state("0")}, "0"},
      {"a denial alone, as a word", {state("false")}, "0"},
      {"an acceptance alone", {state("1")}, "1"},
      {"force alone", {flags("1")}, "d"},
      {"blanks around",
       {{"x-b3-traceid", " " + trace_id}, {"x-b3-spanid", span_id + "\t"}, state(" 1 ")},
       ids + "-1"},

      {"nothing", {}, ""},
      {"a parent alone", {parent}, ""},
      {"flags that say nothing", {flags("0")}, ""},
      {"no span id", {trace, state("1")}, "", 1},
      {"no trace id", {span, state("1")}, "", 1},
      {"an empty trace id", {{"x-b3-traceid", ""}, span}, "", 2},
      {"a bad span id", {trace, {"x-b3-spanid", "1"}, state("0")}, "", 2},
      {"trace id in upper case", {{"x-b3-traceid", "80F198EE56343BA864FE8B2A57D3EFF7"}, span}, "", 2},
      {"trace id all zero", {{"x-b3-traceid", zeros}, span}, "", 2},
      {"span id all zero", {trace, {"x-b3-spanid", zeros.substr(16)}}, "", 2},
      {"both ids are bad", {{"x-b3-traceid", "x"}, {"x-b3-spanid", "x"}}, "", 2},
      {"a decision goes with the ids it was made for",
       {{"x-b3-traceid", "x"}, {"x-b3-spanid", "x"}, state("1")},
       "",
       2},
      {"so does force", {{"x-b3-traceid", "x"}, {"x-b3-spanid", "x"}, flags("1")}, "", 2},
      {"also when the other id is absent", {{"x-b3-spanid", "x"}, state("0")}, "", 1},
      {"an empty state leaves the decision open", {trace, span, state("")}, ids, 1},
      {"so does another one", {trace, span, state("d")}, ids, 1},
      {"a bad state alone", {state("2")}, "", 1},
      {"force does not need the state", {trace, span, state("x"), flags("1")}, ids + "-d", 1},
      {"names in upper case are others in messages",
       {{"X-B3-TraceId", trace_id}, {"X-B3-SpanId", span_id}},
       ""},

      {"of repeated headers the last",
       {trace, span, {"x-b3-spanid", parent_id}, state("1"), state("0")},
       trace_id + "-" + parent_id + "-0"},
      {"the last that is well formed", {{"b3", ids + "-1"}, {"b3", "x"}}, ids + "-1", 1},
      {"of repeated decisions too", {{"b3", ids + "-1"}, {"b3", "0"}}, "0"},
      {"and ids after one", {{"b3", "0"}, {"b3", ids + "-1"}}, ids + "-1"},
      {"one header goes before several",
       {{"b3", ids + "-0"}, {"x-b3-traceid", padded}, span, state("1")},
       ids + "-0"},
      {"a decision in it too", {trace, span, state("1"), {"b3", "0"}}, "0"},
      {"unless it is malformed", {{"b3", "x"}, trace, span, state("1")}, ids + "-1", 1},
  };
  for (const auto& row : rows) {
    const Counted counted;
    EXPECT_EQ(forwarded(row.fields, B3Format::single), row.sent.empty() ? "" : "b3: " + row.sent + "\n")
        << row.rule;
    EXPECT_EQ(counted[Counter::extract_malformed_b3], row.malformed) << row.rule;
  }
}

TEST(B3Http, IsReadByTheSameRulesWithNamesInAnyCase) {
  const MultiRow rows[] = {
      {"one header, in capitals", {{"B3", ids + "-1"}}, ids + "-1"},
      {"a decision alone, in capitals", {{"B3", "0"}}, "0"},
      {"several, as they are usually written",
       {{"X-B3-TraceId", trace_id},
        {"X-B3-ParentSpanId", parent_id},
        {"X-B3-SpanId", span_id},
        {"X-B3-Sampled", "1"}},
       ids + "-1"},
      {"as Go writes them",
       {{"X-B3-Traceid", trace_id}, {"X-B3-Spanid", span_id}, {"X-B3-Flags", "1"}},
       ids + "-d"},
      {"as HTTP/2 does", {trace, span, state("0")}, ids + "-0"},
      {"all in capitals", {{"X-B3-TRACEID", trace_id}, {"X-B3-SPANID", span_id}}, ids},
      {"one header goes before several",
       {{"X-B3-TraceId", padded}, {"X-B3-SpanId", span_id}, {"B3", ids + "-0"}},
       ids + "-0"},
      {"of repeated headers the last", {{"B3", padded + "-" + span_id}, {"b3", ids + "-1"}}, ids + "-1"},
      {"the last that is well formed", {{"B3", ids + "-1"}, {"B3", "x"}}, ids + "-1", 1},
      {"of repeated ids the last",
       {{"X-B3-TraceId", padded}, {"X-B3-TraceId", trace_id}, span, {"X-B3-Sampled", "0"}, state("1")},
       ids + "-1"},
      {"headers that were joined are none", {{"B3", ids + "-1, " + ids + "-1"}}, "", 1},
      {"a state that was joined leaves the decision open", {trace, span, state("1, 1")}, ids, 1},
      {"another name", {{"X-B3-Trace-Id", trace_id}, {"X-B3-Span-Id", span_id}}, ""},
  };
  for (const auto& row : rows) {
    const Counted counted;
    EXPECT_EQ(forwarded(row.fields, B3Format::single, true), row.sent.empty() ? "" : "b3: " + row.sent + "\n")
        << row.rule;
    EXPECT_EQ(counted[Counter::extract_malformed_b3], row.malformed) << row.rule;
  }
}

TEST(B3Multi, IsWrittenByEveryRule) {
  const std::string sent_ids = "x-b3-traceid: " + trace_id + "\nx-b3-spanid: " + span_id + "\n";
  const MultiRow rows[] = {
      {"accepted", {{"b3", ids + "-1"}}, sent_ids + "x-b3-sampled: 1\n"},
      {"denied", {{"b3", ids + "-0"}}, sent_ids + "x-b3-sampled: 0\n"},
      {"deferred: no state", {{"b3", ids}}, sent_ids},
      {"forced: flags instead of the state", {{"b3", ids + "-d"}}, sent_ids + "x-b3-flags: 1\n"},
      {"never the parent", {{"b3", ids + "-1-" + parent_id}}, sent_ids + "x-b3-sampled: 1\n"},
      {"words become digits", {trace, span, state("true")}, sent_ids + "x-b3-sampled: 1\n"},
      {"a denial alone", {{"b3", "0"}}, "x-b3-sampled: 0\n"},
      {"an acceptance alone", {{"b3", "1"}}, "x-b3-sampled: 1\n"},
      {"force alone", {{"b3", "d"}}, "x-b3-flags: 1\n"},
  };
  for (const auto& row : rows)
    EXPECT_EQ(forwarded(row.fields, B3Format::multi), row.sent) << row.rule;
}

}  // namespace

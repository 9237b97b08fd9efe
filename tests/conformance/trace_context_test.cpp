// W3C Trace Context, Level 2: each row is one sentence of the specification, or one case of its test suite
// (w3c/trace-context, test/test.py), as headers in and headers out.
#include <midtrace/propagation/propagator.h>

#include <gtest/gtest.h>

#include <iterator>
#include <set>
#include <string>
#include <vector>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

#include "unit/propagation/list_carrier.h"

namespace {

using midtrace::Context;
using midtrace::Counter;
using midtrace_test::Counted;
using midtrace_test::ListCarrier;

const std::string trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
const std::string span_id = "00f067aa0ba902b7";
const std::string ids = trace_id + "-" + span_id;
const std::string sampled = "00-" + ids + "-01";

// What a service sends on that continues exactly what it received.
std::string forwarded(const std::vector<ListCarrier::Field>& fields, bool like_http) {
  Context context;
  const midtrace::TraceContextPropagator propagator;
  propagator.extract(ListCarrier(fields, like_http), context);
  ListCarrier out;
  propagator.inject(context, out);
  return out.text();
}

struct TraceparentRow {
  const char* rule;
  std::string header;
  std::string sent;  // empty: the trace restarts
};

std::string replaced(std::size_t position, const std::string& text) {
  std::string header = sampled;
  return header.replace(position, text.size(), text);
}

TEST(W3cTraceparent, FollowsEveryRule) {
  const TraceparentRow rows[] = {
      {"sampled", sampled, sampled},
      {"not sampled", "00-" + ids + "-00", "00-" + ids + "-00"},
      {"random flag stays unset", "00-" + ids + "-01", "00-" + ids + "-01"},
      {"bits that have a meaning of our own inside", "00-" + ids + "-c1", sampled},
      {"random flag is passed on when set", "00-" + ids + "-02", "00-" + ids + "-02"},
      {"both flags", "00-" + ids + "-03", "00-" + ids + "-03"},
      {"unknown flags are sent as zero", "00-" + ids + "-ff", "00-" + ids + "-03"},
      {"unknown flags do not mean sampled", "00-" + ids + "-fc", "00-" + ids + "-00"},
      {"high flag digit is ignored", "00-" + ids + "-81", sampled},
      {"letters a to f", "00-abcdefabcdefabcdefabcdefabcdefab-abcdefabcdefabcd-01",
       "00-abcdefabcdefabcdefabcdefabcdefab-abcdefabcdefabcd-01"},
      {"trace id with one bit", "00-00000000000000000000000000000001-" + span_id + "-01",
       "00-00000000000000000000000000000001-" + span_id + "-01"},
      {"trace id with the highest bit", "00-80000000000000000000000000000000-" + span_id + "-01",
       "00-80000000000000000000000000000000-" + span_id + "-01"},
      {"parent id with one bit", "00-" + trace_id + "-0000000000000001-01",
       "00-" + trace_id + "-0000000000000001-01"},
      {"surrounding spaces are trimmed", "  " + sampled + " ", sampled},
      {"a space before", " " + sampled, sampled},
      {"a tab before", "\t" + sampled, sampled},
      {"a space behind", sampled + " ", sampled},
      {"a tab behind", sampled + "\t", sampled},
      {"surrounding tabs are trimmed", "\t" + sampled + "\t \t", sampled},

      {"empty", "", ""},
      {"blank", "   ", ""},
      {"no fields", "00", ""},
      {"one character short", sampled.substr(0, 54), ""},
      {"one character more", sampled + "0", ""},
      {"version 00 ends after the flags", sampled + "-", ""},
      {"version 00 with more fields", sampled + "-what-the-future-will-be-like", ""},
      {"version 00 with a dot", sampled + ".x", ""},
      {"version ff is forbidden", replaced(0, "ff"), ""},
      {"version ff with more fields", replaced(0, "ff") + "-x", ""},
      {"version in upper case", replaced(0, "CC"), ""},
      {"version half in upper case", replaced(0, "0A"), ""},
      {"version not hexadecimal", replaced(0, ".0"), ""},
      {"version not hexadecimal in its second digit", replaced(0, "0."), ""},
      {"version of one digit", sampled.substr(1), ""},
      {"version of three digits", "0" + sampled, ""},
      {"version of four digits", "00" + sampled, ""},
      {"no dash after the version", replaced(2, "_"), ""},
      {"no dash after the trace id", replaced(35, "0"), ""},
      {"no dash after the parent id", replaced(52, "."), ""},
      {"trace id all zero", "00-00000000000000000000000000000000-" + span_id + "-01", ""},
      {"trace id in upper case", "00-4BF92F3577B34DA6A3CE929D0E0E4736-" + span_id + "-01", ""},
      {"trace id with one upper case digit", replaced(4, "B"), ""},
      {"trace id not hexadecimal", replaced(10, "g"), ""},
      {"trace id with a dot", replaced(34, "."), ""},
      {"trace id too short", "00-" + trace_id.substr(1) + "-" + span_id + "-01", ""},
      {"trace id too long", "00-0" + ids + "-01", ""},
      {"trace id of 64 bits", "00-" + trace_id.substr(16) + "-" + span_id + "-01", ""},
      {"parent id all zero", "00-" + trace_id + "-0000000000000000-01", ""},
      {"parent id in upper case", "00-" + trace_id + "-00F067AA0BA902B7-01", ""},
      {"parent id not hexadecimal", replaced(40, "x"), ""},
      {"parent id too short", "00-" + trace_id + "-" + span_id.substr(1) + "-01", ""},
      {"parent id too long", "00-" + ids + "0-01", ""},
      {"flags in upper case", "00-" + ids + "-0A", ""},
      {"flags not hexadecimal", "00-" + ids + "-.0", ""},
      {"flags not hexadecimal in the second digit", "00-" + ids + "-0.", ""},
      {"flags of one digit", "00-" + ids + "-1", ""},
      {"flags of three digits", "00-" + ids + "-001", ""},
      {"blank inside", replaced(20, " "), ""},
      {"NUL inside", replaced(20, std::string(1, '\0')), ""},
      {"line break around", sampled + "\n", ""},
      {"letters outside ASCII", replaced(20, "\xc3\xa9"), ""},
      {"quoted", "\"" + sampled + "\"", ""},
      {"two values in one header", sampled + "," + sampled, ""},

      {"higher version of the same length", replaced(0, "cc"), sampled},
      {"higher version 01", replaced(0, "01"), sampled},
      {"higher version fe", replaced(0, "fe"), sampled},
      {"higher version with more fields", replaced(0, "cc") + "-what-the-future-will-be-like", sampled},
      {"higher version with an empty field", replaced(0, "cc") + "-", sampled},
      {"higher version keeps known flags only", "cc-" + ids + "-ff", "00-" + ids + "-03"},
      {"higher version followed by a dot", replaced(0, "cc") + ".what", ""},
      {"higher version followed by a digit", replaced(0, "cc") + "0", ""},
      {"higher version too short", replaced(0, "cc").substr(0, 54), ""},
      {"higher version with trace id zero", "cc-00000000000000000000000000000000-" + span_id + "-01", ""},
      {"higher version with parent id zero", "cc-" + trace_id + "-0000000000000000-01", ""},
      {"higher version with upper case", "cc-4BF92F3577B34DA6A3CE929D0E0E4736-" + span_id + "-01", ""},
      {"higher version with bad flags", "cc-" + ids + "-0x", ""},
  };
  for (const auto& row : rows) {
    const Counted counted;
    const std::string sent = forwarded({{"traceparent", row.header}}, false);
    EXPECT_EQ(sent, row.sent.empty() ? "" : "traceparent: " + row.sent + "\n") << row.rule;
    EXPECT_EQ(counted[Counter::extract_malformed_traceparent], row.sent.empty() ? 1U : 0U) << row.rule;
  }
}

struct RepeatedRow {
  const char* rule;
  std::vector<ListCarrier::Field> fields;
  bool like_http;
  std::string sent;
  std::uint64_t malformed;
  std::uint64_t duplicates;
};

TEST(W3cTraceparent, RepeatedRestartsOnHttpAndTheLastWellFormedOneWinsElsewhere) {
  const std::string other = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
  const ListCarrier::Field first{"traceparent", sampled};
  const ListCarrier::Field second{"traceparent", other};
  const ListCarrier::Field bad{"traceparent", "00-bad"};
  const ListCarrier::Field state{"tracestate", "a=1"};
  const RepeatedRow rows[] = {
      {"HTTP: one", {first, state}, true, "traceparent: " + sampled + "\ntracestate: a=1\n", 0, 0},
      {"HTTP: two", {first, second, state}, true, "", 0, 1},
      {"HTTP: the same twice", {first, first}, true, "", 0, 1},
      {"HTTP: one right, one wrong", {first, bad}, true, "", 1, 1},
      {"HTTP: one wrong", {bad}, true, "", 1, 0},
      {"messages: the last",
       {first, second, state},
       false,
       "traceparent: " + other + "\ntracestate: a=1\n",
       0,
       0},
      {"messages: the last right one", {second, first, bad}, false, "traceparent: " + sampled + "\n", 1, 0},
      {"messages: a wrong one first", {bad, first}, false, "traceparent: " + sampled + "\n", 1, 0},
      {"messages: none is right", {bad, bad, state}, false, "", 2, 0},
      {"messages: no traceparent at all", {state}, false, "", 0, 0},
      {"HTTP: names in any case",
       {{"TrAcEpArEnT", sampled}, {"TRACESTATE", "a=1"}},
       true,
       "traceparent: " + sampled + "\ntracestate: a=1\n",
       0,
       0},
      {"HTTP: another name", {{"trace-parent", sampled}}, true, "", 0, 0},
      {"HTTP: a name with a dot", {{"trace.parent", sampled}}, true, "", 0, 0},
      {"HTTP: another tracestate",
       {first, {"trace-state", "a=1"}, {"trace.state", "a=1"}},
       true,
       "traceparent: " + sampled + "\n",
       0,
       0},
      {"names are lower case in messages", {{"Traceparent", sampled}}, false, "", 0, 0},
      {"a higher version with a tracestate",
       {{"traceparent", replaced(0, "cc") + "-more"}, state},
       false,
       "traceparent: " + sampled + "\ntracestate: a=1\n",
       0,
       0},
      {"HTTP: a higher version with a tracestate",
       {{"Traceparent", replaced(0, "01")}, {"Tracestate", "a=1"}, {"Tracestate", "b=2"}},
       true,
       "traceparent: " + sampled + "\ntracestate: a=1,b=2\n",
       0,
       0},
      {"a higher version with a tracestate that is none",
       {{"traceparent", replaced(0, "cc")}, {"tracestate", "a"}},
       false,
       "traceparent: " + sampled + "\n",
       0,
       0},
  };
  for (const auto& row : rows) {
    const Counted counted;
    EXPECT_EQ(forwarded(row.fields, row.like_http), row.sent) << row.rule;
    EXPECT_EQ(counted[Counter::extract_malformed_traceparent], row.malformed) << row.rule;
    EXPECT_EQ(counted[Counter::extract_duplicate_traceparent], row.duplicates) << row.rule;
  }
}

TEST(W3cTraceparent, LeavesTheContextThatIsThereAlone) {
  const midtrace::TraceContextPropagator propagator;
  Context ambient;
  ambient.span = midtrace::parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
  ambient.span.trace_state = midtrace::TraceState::parse("a=1");
  const ListCarrier::Field good{"Traceparent", sampled};
  const ListCarrier::Field state{"tracestate", "b=2"};
  const std::vector<ListCarrier::Field> nothing_to_go_by[] = {
      {good, good}, {good, good, state}, {{"traceparent", "00-bad"}, state}, {state}, {}};
  for (const auto& fields : nothing_to_go_by) {
    Context context = ambient;
    propagator.extract(ListCarrier(fields, true), context);
    EXPECT_EQ(context, ambient) << ListCarrier(fields).text();
  }
  Context context = ambient;
  propagator.extract(ListCarrier({good}, true), context);
  EXPECT_EQ(context.span, midtrace::parse_traceparent(sampled))
      << "a good one replaces it, tracestate and all";
}

TEST(W3cTraceparent, CannotSetTheFlagsThatAreOurOwn) {
  for (const char* const flags : {"c1", "c0", "40", "80", "ff", "fc", "04"}) {
    for (const char* const version : {"00", "cc"}) {
      Context context;
      const std::string header = std::string(version) + "-" + ids + "-" + flags;
      midtrace::TraceContextPropagator().extract(ListCarrier{{"traceparent", header}}, context);
      EXPECT_TRUE(context.span.valid()) << header;
      EXPECT_FALSE(context.span.flags.debug()) << header;
      EXPECT_FALSE(context.span.flags.deferred()) << header;
      EXPECT_EQ(context.span.flags.bits & ~midtrace::TraceFlags::wire_bits, 0) << header;
    }
  }
}

struct TracestateRow {
  const char* rule;
  std::vector<std::string> headers;
  std::string sent;  // empty: no tracestate
  bool malformed = false;
};

std::string members(std::size_t count) {
  std::string result;
  for (std::size_t i = 0; i < count; ++i)
    result += (i == 0 ? "k" : ",k") + std::to_string(i) + "=v";
  return result;
}

// Headers of so many blanks, and one more.
std::vector<std::string> blank_lines(std::size_t count, std::size_t blanks, const std::string& last) {
  std::vector<std::string> lines(count, std::string(blanks, ' '));
  lines.push_back(last);
  return lines;
}

TEST(W3cTracestate, FollowsEveryRule) {
  const std::string key_256(256, 'k');
  const std::string value_254(254, 'v');
  const std::string value_256(256, 'v');
  const std::string all_values =
      "!\"#$%&'()*+-./0123456789:;<>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";
  const TracestateRow rows[] = {
      {"absent", {}, ""},
      {"one member", {"foo=1"}, "foo=1"},
      {"order is kept", {"foo=1,bar=2"}, "foo=1,bar=2"},
      {"several headers are joined in order",
       {"foo=1,bar=2", "rojo=3", "congo=4"},
       "foo=1,bar=2,rojo=3,congo=4"},
      {"an empty header among others", {"", "foo=1", "", "bar=2", ""}, "foo=1,bar=2"},
      {"an empty header", {""}, ""},
      {"two empty headers", {"", ""}, ""},
      {"blank headers", {" ", "\t"}, ""},
      {"empty members", {",foo=1,,bar=2, ,\t,"}, "foo=1,bar=2"},
      {"blanks around members", {" foo=1 ,\tbar=2\t, rojo=3"}, "foo=1,bar=2,rojo=3"},
      {"leading blanks belong to the value", {"foo=  1"}, "foo=  1"},
      {"inner blanks belong to the value", {"foo=a b"}, "foo=a b"},
      {"the first of two duplicates stays", {"foo=1,bar=2,foo=3"}, "foo=1,bar=2"},
      {"duplicates over several headers", {"foo=1", "foo=2"}, "foo=1"},
      {"every character of a value", {"foo=" + all_values}, "foo=" + all_values},
      {"every character of a key",
       {"abcdefghijklmnopqrstuvwxyz0123456789_-*/@=1"},
       "abcdefghijklmnopqrstuvwxyz0123456789_-*/@=1"},
      {"tenant and system", {"fw529a3039@dt=FfAxOa"}, "fw529a3039@dt=FfAxOa"},
      {"a key may begin with a digit", {"0a=1"}, "0a=1"},
      {"several at signs", {"a@b@c=1"}, "a@b@c=1"},
      {"at sign at the end", {"foo@=1,bar=2"}, "foo@=1,bar=2"},
      {"two at signs in a row", {"foo@@bar=1,bar=2"}, "foo@@bar=1,bar=2"},
      {"every character of a key with a vendor and of a value",
       {"abcdefghijklmnopqrstuvwxyz0123456789_-*/@a-z0-9_-*/= " + all_values},
       "abcdefghijklmnopqrstuvwxyz0123456789_-*/@a-z0-9_-*/= " + all_values},
      {"key of 241 characters before and 14 behind the at sign",
       {"foo=1", std::string(241, 't') + "@" + std::string(14, 'v') + "=1"},
       "foo=1," + std::string(241, 't') + "@" + std::string(14, 'v') + "=1"},
      {"key of more before the at sign",
       {"foo=1", std::string(242, 't') + "@v=1"},
       "foo=1," + std::string(242, 't') + "@v=1"},
      {"key of more behind the at sign",
       {"foo=1", "t@" + std::string(15, 'v') + "=1"},
       "foo=1,t@" + std::string(15, 'v') + "=1"},
      {"blanks of both kinds around members", {"foo=1 \t , \t bar=2, \t baz=3"}, "foo=1,bar=2,baz=3"},
      {"tabs first", {"foo=1\t \t,\t \tbar=2,\t \tbaz=3"}, "foo=1,bar=2,baz=3"},
      {"blanks of both kinds around all", {"\t foo=1 \t"}, "foo=1"},
      {"key of one character", {"z=1"}, "z=1"},
      {"key of 256 characters", {key_256 + "=1"}, key_256 + "=1"},
      {"value of 254 characters", {"k=" + value_254}, "k=" + value_254},
      {"value of 256 characters", {"k=" + value_256}, "k=" + value_256},
      {"32 members", {members(32)}, members(32)},
      {"32 members and empty ones",
       {"," + members(16) + ",,", members(32).substr(members(16).size())},
       members(32)},
      {"512 characters are sent whole",
       {"a=" + std::string(253, 'x') + ",b=" + std::string(254, 'y')},
       "a=" + std::string(253, 'x') + ",b=" + std::string(254, 'y')},
      {"over 512 long members go first",
       {"a=" + std::string(254, 'x') + ",b=" + std::string(254, 'y') + ",c=1"},
       "a=" + std::string(254, 'x') + ",c=1"},

      {"key and value of the greatest length are more than is sent", {key_256 + "=" + value_256}, ""},
      {"and leave the others alone", {key_256 + "=" + value_256 + ",foo=1"}, "foo=1"},
      {"64 KiB with the comma behind it, mostly blanks", {std::string(65530, ' ') + "foo=1"}, "foo=1"},
      {"as much in many headers", blank_lines(64, 1022, "foo=1"), "foo=1"},

      {"over 64 KiB", {std::string(65531, ' ') + "foo=1"}, "", true},
      {"over 64 KiB in many headers", blank_lines(66, 1000, "foo=1"), "", true},
      {"over 64 KiB in the last of them", {"foo=1", std::string(65536, ' ')}, "", true},
      {"33 members", {members(33)}, "", true},
      {"33 members over two headers", {members(32), "foo=1"}, "", true},
      {"33 members with a duplicate", {members(32) + ",k0=2"}, "", true},
      {"no equals sign", {"foo"}, "", true},
      {"one bad member drops all", {"foo=1,bar"}, "", true},
      {"one bad header drops all", {"foo=1", "bar"}, "", true},
      {"empty key", {"=1"}, "", true},
      {"empty value", {"foo="}, "", true},
      {"blank value", {"foo=  "}, "", true},
      {"blank before the equals sign", {"foo =1"}, "", true},
      {"two equals signs", {"foo=1=2"}, "", true},
      {"upper case key", {"FOO=1"}, "", true},
      {"upper case in a key", {"fOo=1"}, "", true},
      {"key beginning with an underscore", {"_foo=1"}, "", true},
      {"key beginning with an at sign", {"@foo=1,bar=2"}, "", true},
      {"empty value before a good member", {"foo=,bar=3"}, "", true},
      {"long key beside a good one", {"foo=1", std::string(257, 'z') + "=1"}, "", true},
      {"dot in a key", {"foo.bar=1"}, "", true},
      {"blank in a key", {"foo bar=1"}, "", true},
      {"key of 257 characters", {key_256 + "k=1"}, "", true},
      {"value of 257 characters", {"k=" + value_256 + "v"}, "", true},
      {"tab in a value", {"foo=a\tb"}, "", true},
      {"NUL in a value", {std::string("foo=a\0b", 7)}, "", true},
      {"DEL in a value", {"foo=a\x7f"}, "", true},
      {"letter outside ASCII in a value", {"foo=\xc3\xa9"}, "", true},
      {"letter outside ASCII in a key", {"f\xc3\xb6=1"}, "", true},
      {"line break", {"foo=1\r\nbar=2"}, "", true},
      {"semicolon as separator belongs to the value", {"foo=1;bar"}, "foo=1;bar"},
  };
  for (const auto& row : rows) {
    const Counted counted;
    std::vector<ListCarrier::Field> fields{{"traceparent", sampled}};
    for (const auto& header : row.headers)
      fields.emplace_back("tracestate", header);
    std::string expected = "traceparent: " + sampled + "\n";
    if (!row.sent.empty()) expected += "tracestate: " + row.sent + "\n";
    EXPECT_EQ(forwarded(fields, false), expected)
        << row.rule << ": a tracestate never invalidates its traceparent";
    EXPECT_EQ(forwarded(fields, true), expected) << row.rule << ", on HTTP";
    EXPECT_EQ(counted[Counter::extract_malformed_tracestate], row.malformed ? 2U : 0U) << row.rule;
  }
}

TEST(W3cTracestate, IsNotReadWithoutAValidTraceparent) {
  const Counted counted;
  EXPECT_EQ(forwarded({{"tracestate", "foo=1"}}, false), "");
  EXPECT_EQ(forwarded({{"traceparent", "00-bad"}, {"tracestate", "not even a tracestate"}}, false), "");
  EXPECT_EQ(counted[Counter::extract_malformed_tracestate], 0U);
}

TEST(W3cTracestate, ReadsKeysAndValuesOfTheGreatestLength) {
  const std::string key(256, 'k');
  const std::string value(256, 'v');
  Context context;
  midtrace::TraceContextPropagator().extract(
      ListCarrier{{"traceparent", sampled}, {"tracestate", "a=1," + key + "=" + value + ",b=2"}}, context);
  EXPECT_EQ(context.span.trace_state.header(), "a=1," + key + "=" + value + ",b=2");
  EXPECT_EQ(context.span.trace_state.get(key), value);
}

struct MutationRow {
  const char* rule;
  std::string before;
  std::string key;
  std::string value;
  std::string after;
};

TEST(W3cTracestate, MutatesByTheRules) {
  const MutationRow rows[] = {
      {"a new member goes to the front", "a=1,b=2", "c", "3", "c=3,a=1,b=2"},
      {"a changed member goes to the front", "a=1,b=2,c=3", "b", "9", "b=9,a=1,c=3"},
      {"the others keep their order", "a=1,b=2,c=3", "c", "9", "c=9,a=1,b=2"},
      {"a key appears once", "a=1", "a", "2", "a=2"},
      {"a 33rd member pushes out the rightmost", members(32), "new", "1", "new=1," + members(31)},
      {"an invalid key changes nothing", "a=1", "A", "2", "a=1"},
      {"an invalid value changes nothing", "a=1", "a", "x,y", "a=1"},
  };
  for (const auto& row : rows)
    EXPECT_EQ(midtrace::TraceState::parse(row.before).with(row.key, row.value).header(), row.after)
        << row.rule;
}

// What a service sends in three requests while it handles one.
std::vector<midtrace::SpanContext> sent_while_handling(const std::vector<ListCarrier::Field>& fields) {
  const midtrace::testing::Recorder recorder({.random_ids = true});
  const midtrace::TraceContextPropagator propagator;
  Context received;
  propagator.extract(ListCarrier(fields, true), received);
  const auto tracer = midtrace::Tracer::get("conformance");
  const midtrace::Span handling = tracer.start("handle", {.parent = &received});
  const midtrace::Scope scope = handling.activate();
  std::vector<midtrace::SpanContext> sent;
  for (int i = 0; i < 3; ++i) {
    const midtrace::Span request = tracer.start("request");
    const midtrace::Scope current = request.activate();
    ListCarrier out;
    propagator.inject(Context::current(), out);
    sent.push_back(midtrace::parse_traceparent(out.fields().at(0).second));
  }
  return sent;
}

struct ServiceRow {
  const char* rule;
  std::vector<ListCarrier::Field> fields;
  bool continues;
  unsigned flags;
};

TEST(W3cService, SendsAParentIdOfItsOwnWithEveryRequest) {
  const ServiceRow rows[] = {
      {"continues a trace", {{"traceparent", sampled}}, true, 0x01},
      {"keeps the random flag set", {{"traceparent", "00-" + ids + "-03"}}, true, 0x03},
      {"begins one with a random id", {}, false, 0x03},
      {"begins one after a bad header",
       {{"traceparent", "00-00000000000000000000000000000000-" + span_id + "-01"}},
       false,
       0x03},
      {"begins one after two headers", {{"traceparent", sampled}, {"traceparent", sampled}}, false, 0x03},
  };
  for (const auto& row : rows) {
    std::set<std::uint64_t> parents;
    std::set<std::string> traces;
    for (const midtrace::SpanContext& sent : sent_while_handling(row.fields)) {
      EXPECT_TRUE(sent.valid());
      EXPECT_NE(sent.span_id.to_string(), span_id) << row.rule;
      EXPECT_EQ(sent.flags.bits, row.flags) << row.rule;
      parents.insert(sent.span_id.value);
      traces.insert(sent.trace_id.to_string());
    }
    EXPECT_EQ(parents.size(), 3U) << row.rule;
    EXPECT_EQ(traces.size(), 1U) << row.rule;
    EXPECT_EQ(traces.contains(trace_id), row.continues) << row.rule;
  }
}

}  // namespace

// Attributes, events, links, status: what a span holds, and in which form it comes out again.
#include <array>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
namespace {

Tracer tracer() { return Tracer::get("attributes_test"); }

TEST(Attributes, come_out_with_the_type_and_value_that_was_set) {
  testing::Recorder recorder;
  {
    Span span = tracer().start("all types");
    const std::string text = "text";
    constexpr AttributeKey<std::string_view> typed_string{"typed.string"};
    constexpr AttributeKey<bool> typed_bool{"typed.bool"};
    constexpr AttributeKey<std::int64_t> typed_integer{"typed.integer"};
    constexpr AttributeKey<double> typed_real{"typed.real"};
    constexpr AttributeKey<std::span<const std::string_view>> typed_strings{"typed.strings"};
    const std::array<std::string_view, 3> strings{"a", "", "c"};
    const std::array<bool, 2> bools{true, false};
    const std::array<std::int64_t, 3> integers{1, -2, std::numeric_limits<std::int64_t>::min()};
    const std::array<double, 2> reals{0.5, -1e300};
    span.set("string", text);
    span.set("literal", "literal");
    span.set("empty", "");
    span.set("bool", true);
    span.set("integer", std::numeric_limits<std::int64_t>::max());
    span.set("small", static_cast<unsigned char>(7));
    span.set("real", 2.5);
    span.set("strings", std::span<const std::string_view>(strings));
    span.set("bools", std::span<const bool>(bools));
    span.set("integers", std::span<const std::int64_t>(integers));
    span.set("reals", std::span<const double>(reals));
    span.set("nothing", std::span<const double>());
    span.set(typed_string, "static");
    span.set(typed_string, std::string_view(text));
    span.set(typed_bool, false);
    span.set(typed_integer, 42);
    span.set(typed_real, 1);
    span.set(typed_strings, std::span<const std::string_view>(strings));
  }
  EXPECT_EQ(recorder.tree(), R"(
all types INTERNAL
  bool = true
  bools = [true, false]
  empty = 
  integer = 9223372036854775807
  integers = [1, -2, -9223372036854775808]
  literal = literal
  nothing = []
  real = 2.5
  reals = [0.5, -1e+300]
  small = 7
  string = text
  strings = [a, , c]
  typed.bool = false
  typed.integer = 42
  typed.real = 1
  typed.string = text
  typed.strings = [a, , c]
)");
  const auto spans = recorder.spans();
  std::map<std::string, AttributeType> types;
  for (const testing::OwnedAttribute& attribute : spans.at(0).attributes)
    types[attribute.key] = attribute.type;
  EXPECT_EQ(types["string"], AttributeType::string);
  EXPECT_EQ(types["bool"], AttributeType::boolean);
  EXPECT_EQ(types["integer"], AttributeType::integer);
  EXPECT_EQ(types["real"], AttributeType::real);
  EXPECT_EQ(types["typed.real"], AttributeType::real);
  EXPECT_EQ(types["strings"], AttributeType::string_array);
  EXPECT_EQ(types["bools"], AttributeType::boolean_array);
  EXPECT_EQ(types["integers"], AttributeType::integer_array);
  EXPECT_EQ(types["reals"], AttributeType::real_array);
  EXPECT_EQ(types["nothing"], AttributeType::real_array);
}

TEST(Attributes, that_are_set_again_replace_the_value_whatever_its_type) {
  testing::Recorder recorder;
  {
    Span span =
        tracer().start("replaced", {.attributes = std::array<Attribute, 2>{{{"a", 1}, {"b", "first"}}}});
    constexpr AttributeKey<std::int64_t> a{"a"};
    span.set("a", "text");
    span.set(a, 2);
    span.set("b", std::string(3000, 'x'));
    span.set("b", "last");
    for (int i = 0; i < 40; ++i)
      span.set("key" + std::to_string(i), i);
    for (int i = 0; i < 40; ++i)
      span.set("key" + std::to_string(i), "second");
    span.set("b", "very last");
  }
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].attributes.size(), 42U);
  EXPECT_EQ(spans[0].attribute("a"), "2");
  EXPECT_EQ(spans[0].attribute("b"), "very last");
  EXPECT_EQ(spans[0].attribute("key0"), "second");
  EXPECT_EQ(spans[0].attribute("key39"), "second");
  EXPECT_EQ(spans[0].dropped_attributes, 0U);
}

TEST(Attributes, are_copied_so_that_the_original_may_change) {
  testing::Recorder recorder;
  {
    Span span = tracer().start("copied");
    std::string key = "key";
    std::string value = "value";
    std::string element = "element";
    std::vector<std::string_view> elements{element};
    span.set(key, value);
    span.set("array", std::span<const std::string_view>(elements));
    key = "KKK";
    value = "VVVVV";
    element = "EEEEEEE";
    elements.clear();
  }
  EXPECT_EQ(recorder.tree(), R"(
copied INTERNAL
  array = [element]
  key = value
)");
}

TEST(Attributes, with_an_empty_key_are_dropped_and_counted) {
  testing::Recorder recorder;
  {
    Span span = tracer().start("nameless");
    span.set("", 1);
    span.set(std::string(), "x");
    span.add_event("event", {{"", 1}, {"kept", 2}});
    span.set("kept", 3);
  }
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].dropped_attributes, 2U);
  EXPECT_EQ(recorder.counters()[Counter::dropped_attributes], 3U);
  EXPECT_EQ(recorder.tree(), R"(
nameless INTERNAL
  kept = 3
  event event {kept = 2}
)");
}

TEST(Attributes, hold_any_bytes_also_NUL) {
  testing::Recorder recorder;
  const std::string bytes("a\0b\xFF\xFE", 5);
  {
    Span span = tracer().start("bytes");
    span.set(bytes, bytes);
  }
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), 1U);
  ASSERT_EQ(spans[0].attributes.size(), 1U);
  EXPECT_EQ(spans[0].attributes[0].key, bytes);
  EXPECT_EQ(std::get<std::string>(spans[0].attributes[0].value), bytes);
}

TEST(Attributes, may_be_long_strings_and_large_arrays) {
  testing::Recorder recorder;
  const std::string text(100000, 'l');
  const std::vector<std::int64_t> numbers(5000, 7);
  {
    Span span = tracer().start("large");
    span.set("text", text);
    span.set("numbers", std::span<const std::int64_t>(numbers));
    span.set("small", "s");
  }
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].attribute("text"), text);
  EXPECT_EQ(spans[0].attribute("numbers").size(), 3U * 5000U);
  EXPECT_EQ(spans[0].attribute("small"), "s");
}

TEST(Attributes, of_a_span_may_be_set_many_at_once) {
  testing::Recorder recorder;
  {
    Span span = tracer().start("at once");
    span.set(std::array<Attribute, 3>{{{"a", 1}, {"b", true}, {"a", 2}}});
  }
  EXPECT_EQ(recorder.tree(), R"(
at once INTERNAL
  a = 2
  b = true
)");
}

TEST(Attributes, that_are_lazy_are_computed_when_the_span_records) {
  testing::Recorder recorder;
  {
    Span span = tracer().start("lazy");
    constexpr AttributeKey<std::string_view> text{"text"};
    constexpr AttributeKey<std::int64_t> number{"number"};
    span.set_lazy(text, [] { return std::string("made of a temporary"); });
    span.set_lazy(number, [] { return 5; });
  }
  EXPECT_EQ(recorder.tree(), R"(
lazy INTERNAL
  number = 5
  text = made of a temporary
)");
}

TEST(Events, keep_their_order_time_and_attributes) {
  testing::Recorder recorder;
  const std::int64_t beginning = recorder.clock().to_unix_nanos(recorder.clock().now());
  {
    Span span = tracer().start("eventful");
    recorder.clock().advance(std::chrono::microseconds(10));
    span.add_event("first");
    recorder.clock().advance(std::chrono::microseconds(10));
    std::string value = "value";
    span.add_event("second", {{"a", value}, {"b", 2}, {"a", "again"}});
    value = "VVVVV";
    recorder.clock().advance(std::chrono::microseconds(10));
  }
  EXPECT_EQ(recorder.tree(), R"(
eventful INTERNAL
  event first
  event second {a = again, b = 2}
)");
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.at(0).events.size(), 2U);
  EXPECT_EQ(spans[0].events[0].unix_nanos, beginning + 10000);
  EXPECT_EQ(spans[0].events[1].unix_nanos, beginning + 20000);
}

TEST(Links, keep_their_context_and_attributes) {
  testing::Recorder recorder;
  {
    Span cause = tracer().start("cause");
    Span other = tracer().start("other");
    SpanContext far_away;
    far_away.trace_id = {1, 1};
    far_away.span_id = {1};
    far_away.remote = true;
    far_away.trace_state = TraceState::parse("a=b");
    const std::array<Attribute, 1> offset{{{"offset", 5}}};
    const std::array<Link, 2> links{{{cause.context()}, {far_away, offset}}};
    Span span = tracer().start("effect", {.links = links});
    span.add_link({other.context(), offset});
  }
  EXPECT_EQ(recorder.tree(), R"(
cause INTERNAL
effect INTERNAL
  link -> cause
  link -> (not here) {offset = 5}
  link -> other {offset = 5}
other INTERNAL
)");
  for (const testing::OwnedSpan& span : recorder.spans()) {
    if (span.name != "effect") continue;
    EXPECT_EQ(span.links.at(1).context.trace_state.header(), "a=b");
    EXPECT_TRUE(span.links.at(1).context.remote);
    EXPECT_FALSE(span.links.at(0).context.remote);
  }
}

TEST(Links, that_say_nothing_are_left_out_and_those_with_attributes_only_are_kept) {
  testing::Recorder recorder;
  {
    const std::array<Attribute, 1> note{{{"note", "x"}}};
    Span span = tracer().start("linked");
    span.add_link({});
    span.add_link({SpanContext{}, note});
  }
  EXPECT_EQ(recorder.tree(), R"(
linked INTERNAL
  link -> (not here) {note = x}
)");
  EXPECT_EQ(recorder.spans().at(0).dropped_links, 0U);
}

TEST(Status, is_ordered_ok_error_unset) {
  testing::Recorder recorder;
  {
    Span unset = tracer().start("1 unset");
    unset.set_status(StatusCode::unset, "ignored");
    Span described = tracer().start("2 ok has no description");
    described.set_status(StatusCode::ok, "ignored");
    Span error = tracer().start("3 error stays after unset");
    error.set_status(StatusCode::error, "broken");
    error.set_status(StatusCode::unset);
    Span fixed = tracer().start("4 ok beats error");
    fixed.set_status(StatusCode::error, "broken");
    fixed.set_status(StatusCode::ok);
    Span final = tracer().start("5 nothing beats ok");
    final.set_status(StatusCode::ok);
    final.set_status(StatusCode::error, "too late");
    final.set_status(StatusCode::unset);
    Span twice = tracer().start("6 the last error counts");
    twice.set_status(StatusCode::error, "first");
    twice.set_status(StatusCode::error, "second");
    Span bare = tracer().start("7 error without a description");
    bare.set_status(StatusCode::error, "first");
    bare.set_status(StatusCode::error);
  }
  EXPECT_EQ(recorder.tree(), R"(
1 unset INTERNAL
2 ok has no description INTERNAL
  status OK
3 error stays after unset INTERNAL
  status ERROR: broken
4 ok beats error INTERNAL
  status OK
5 nothing beats ok INTERNAL
  status OK
6 the last error counts INTERNAL
  status ERROR: second
7 error without a description INTERNAL
  status ERROR
)");
  EXPECT_EQ(recorder.spans().at(0).status_description, "");
}

TEST(Status, of_an_error_comes_with_its_type) {
  testing::Recorder recorder;
  {
    Span span = tracer().start("failed");
    const std::string type = "timed_out";
    span.set_error(type);
    Span described = tracer().start("refused");
    described.set_error("_OTHER", "the peer said no");
  }
  EXPECT_EQ(recorder.tree(), R"(
failed INTERNAL
  status ERROR
  error.type = timed_out
refused INTERNAL
  status ERROR: the peer said no
  error.type = _OTHER
)");
}

struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

TEST(Exceptions, are_events_with_the_real_type_and_the_message_and_leave_the_status) {
  testing::Recorder recorder;
  {
    Span span = tracer().start("throws");
    span.record_exception(std::out_of_range("beyond the end"));
    try {
      throw Refused("order 7 refused");
    } catch (const std::exception& caught) {
      span.record_exception(caught);
    }
  }
  EXPECT_EQ(recorder.tree(), R"(
throws INTERNAL
  event exception {exception.message = beyond the end, exception.type = std::out_of_range}
  event exception {exception.message = order 7 refused, exception.type = midtrace::(anonymous namespace)::Refused}
)");
}

}  // namespace
}  // namespace midtrace

// What one span may hold: what exceeds it is cut or dropped, counted on the span and in the process, and
// never lost silently.
#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
namespace {

Tracer tracer() { return Tracer::get("limits_test"); }

SpanContext some_context(std::uint64_t number) {
  SpanContext context;
  context.trace_id = {1, number};
  context.span_id = {number};
  return context;
}

testing::OwnedSpan only_span(testing::Recorder& recorder) {
  const auto spans = recorder.spans();
  EXPECT_EQ(spans.size(), 1U);
  return spans.at(0);
}

std::size_t held_bytes(const testing::OwnedSpan& span) {
  std::size_t bytes = 0;
  const auto add = [&bytes](const std::vector<testing::OwnedAttribute>& attributes) {
    for (const testing::OwnedAttribute& attribute : attributes)
      bytes += attribute.key.size() + attribute.text().size();
  };
  add(span.attributes);
  for (const testing::OwnedEvent& event : span.events) {
    bytes += event.name.size();
    add(event.attributes);
  }
  for (const testing::OwnedLink& link : span.links)
    add(link.attributes);
  return bytes;
}

TEST(SpanLimits, keep_128_attributes_and_count_the_rest) {
  testing::Recorder recorder;
  {
    Span span = tracer().start("many");
    for (int i = 0; i < 130; ++i)
      span.set("key" + std::to_string(i), i);
    span.set("key5", "replacing costs no place");
  }
  const auto span = only_span(recorder);
  EXPECT_EQ(span.attributes.size(), 128U);
  EXPECT_EQ(span.dropped_attributes, 2U);
  EXPECT_EQ(span.attribute("key127"), "127");
  EXPECT_EQ(span.attribute("key128"), "");
  EXPECT_EQ(span.attribute("key5"), "replacing costs no place");
  EXPECT_EQ(recorder.counters()[Counter::dropped_attributes], 2U);
}

TEST(SpanLimits, hold_for_the_attributes_that_are_given_at_start_too) {
  testing::Recorder recorder({.limits = {.attribute_count = 3}});
  const std::array<Attribute, 5> attributes{{{"a", 1}, {"b", 2}, {"c", 3}, {"d", 4}, {"e", 5}}};
  tracer().start("few", {.attributes = attributes}).end();
  const auto span = only_span(recorder);
  EXPECT_EQ(span.attributes.size(), 3U);
  EXPECT_EQ(span.dropped_attributes, 2U);
}

TEST(SpanLimits, keep_128_events_and_count_the_rest) {
  testing::Recorder recorder;
  {
    Span span = tracer().start("eventful");
    for (int i = 0; i < 131; ++i)
      span.add_event("event" + std::to_string(i));
  }
  const auto span = only_span(recorder);
  EXPECT_EQ(span.events.size(), 128U);
  EXPECT_EQ(span.events.back().name, "event127");
  EXPECT_EQ(span.dropped_events, 3U);
  EXPECT_EQ(recorder.counters()[Counter::dropped_events], 3U);
}

TEST(SpanLimits, keep_128_links_and_1024_of_a_batch_that_a_module_received) {
  testing::Recorder recorder;
  std::vector<Link> links;
  for (std::uint64_t i = 1; i <= 1100; ++i)
    links.push_back({some_context(i)});
  tracer().start("application", {.links = links}).end();
  tracer().start("module", {.links = links, .module_link_limit = true}).end();
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_EQ(spans[0].links.size(), 128U);
  EXPECT_EQ(spans[0].dropped_links, 972U);
  EXPECT_EQ(spans[1].links.size(), 1024U);
  EXPECT_EQ(spans[1].dropped_links, 76U);
  EXPECT_EQ(spans[1].links.back().context.span_id, SpanId{1024});
  EXPECT_EQ(recorder.counters()[Counter::dropped_links], 972U + 76U);
}

TEST(SpanLimits, of_links_hold_for_modules_too_when_the_user_set_them) {
  testing::Recorder recorder({.limits = {.link_count = 2}});
  std::vector<Link> links;
  for (std::uint64_t i = 1; i <= 5; ++i)
    links.push_back({some_context(i)});
  tracer().start("module", {.links = links, .module_link_limit = true}).end();
  const auto span = only_span(recorder);
  EXPECT_EQ(span.links.size(), 2U);
  EXPECT_EQ(span.dropped_links, 3U);
}

TEST(SpanLimits, hold_for_the_attributes_of_events_and_links) {
  testing::Recorder recorder({.limits = {.event_attribute_count = 2, .link_attribute_count = 1}});
  const std::array<Attribute, 3> three{{{"a", 1}, {"b", 2}, {"c", 3}}};
  {
    Span span = tracer().start("limited");
    span.add_event("event", three);
    span.add_link({some_context(4), three});
  }
  const auto span = only_span(recorder);
  EXPECT_EQ(span.events.at(0).attributes.size(), 2U);
  EXPECT_EQ(span.links.at(0).attributes.size(), 1U);
  EXPECT_EQ(span.dropped_attributes, 0U);
  EXPECT_EQ(recorder.counters()[Counter::dropped_attributes], 3U);
}

TEST(SpanLimits, of_nothing_keep_nothing) {
  testing::Recorder recorder(
      {.limits = {.attribute_count = 0, .attribute_value_length = 0, .event_count = 0, .link_count = 0}});
  {
    Span span = tracer().start("bare");
    span.set("a", 1);
    span.add_event("e");
    span.add_link({some_context(1)});
  }
  const auto span = only_span(recorder);
  EXPECT_EQ(span.dropped_attributes + span.dropped_events + span.dropped_links, 3U);
  EXPECT_EQ(span.name, "bare");
}

TEST(SpanLimits, cut_strings_by_characters_and_never_inside_one) {
  testing::Recorder recorder({.limits = {.attribute_value_length = 3}});
  const std::array<std::string_view, 4> array{"abcd", "äöüß", "€", "abc"};
  constexpr AttributeKey<std::string_view> key{"static"};
  {
    Span span = tracer().start("cut, but not the name");
    span.set("ascii", "abcd");
    span.set("umlauts", "äöüß");
    span.set("euro", "€€€€");
    span.set("clef", "𝄞𝄞𝄞𝄞");
    span.set("short", "äö");
    span.set("array", std::span<const std::string_view>(array));
    span.set(key, "literal");
    span.add_event("an event's name is not cut", {{"a", "abcdef"}});
    span.set_status(StatusCode::error, "description");
  }
  EXPECT_EQ(recorder.tree(), R"(
cut, but not the name INTERNAL
  status ERROR: des
  array = [abc, äöü, €, abc]
  ascii = abc
  clef = 𝄞𝄞𝄞
  euro = €€€
  short = äö
  static = lit
  umlauts = äöü
  event an event's name is not cut {a = abc}
)");
  EXPECT_EQ(recorder.counters()[Counter::truncated_values], 9U);
}

TEST(SpanLimits, cut_strings_that_are_not_UTF8_as_well) {
  testing::Recorder recorder({.limits = {.attribute_value_length = 10}});
  {
    Span span = tracer().start("binary");
    span.set("continuation bytes", std::string(100000, '\x80'));
    span.set("leading bytes", std::string(100000, '\xF0'));
    span.set("one character with a tail", "a" + std::string(100000, '\xBF'));
  }
  for (const testing::OwnedAttribute& attribute : only_span(recorder).attributes) {
    EXPECT_LE(attribute.text().size(), 40U) << attribute.key;
    EXPECT_GE(attribute.text().size(), 10U) << attribute.key;
  }
}

TEST(SpanLimits, bound_the_memory_of_a_span_by_its_cap) {
  testing::Recorder recorder;
  constexpr std::size_t cap = 256 * 1024;
  {
    Span span = tracer().start("greedy");
    span.set("first", "kept");
    for (int i = 0; i < 20; ++i)
      span.set("large" + std::to_string(i), std::string(30000, 'x'));
    for (int i = 0; i < 50; ++i) {
      const std::string value(10000, 'e');
      span.add_event("event", {{"value", value}});
      span.add_link({some_context(1), std::array<Attribute, 1>{{{"value", value}}}});
    }
  }
  const auto span = only_span(recorder);
  EXPECT_EQ(span.attribute("first"), "kept");
  EXPECT_EQ(span.attribute("large0").size(), 30000U);
  const std::size_t held = held_bytes(span);
  EXPECT_GT(held, cap * 9 / 10);
  EXPECT_LT(held, cap + 8192);
  EXPECT_GT(recorder.counters()[Counter::truncated_values], 0U);
  EXPECT_EQ(span.events.size() + span.dropped_events, 50U);
  EXPECT_EQ(span.links.size() + span.dropped_links, 50U);
  EXPECT_EQ(span.attributes.size() + span.dropped_attributes, 21U);
}

TEST(SpanLimits, cut_one_value_larger_than_the_cap_at_a_character) {
  testing::Recorder recorder;
  std::string text;
  while (text.size() < 1000000)
    text += "€";
  {
    Span span = tracer().start("huge");
    span.set("text", text);
    span.set("after", 1);
  }
  const std::string kept = only_span(recorder).attribute("text");
  EXPECT_GT(kept.size(), 250000U);
  EXPECT_LE(kept.size(), 256U * 1024U);
  EXPECT_EQ(kept.size() % 3, 0U);
  EXPECT_EQ(kept, text.substr(0, kept.size()));
  EXPECT_EQ(only_span(recorder).attribute("after"), "1");
}

TEST(SpanLimits, cut_keys_at_65535_bytes_so_that_longer_ones_may_become_equal) {
  testing::Recorder recorder;
  {
    Span span = tracer().start("endless keys");
    int number = 0;
    for (const std::size_t size : {65534U, 65535U, 65536U, 70000U, 200000U})
      span.set(std::string(size, 'k'), ++number);
  }
  const auto span = only_span(recorder);
  EXPECT_EQ(span.attribute(std::string(65534, 'k')), "1");
  EXPECT_EQ(span.attribute(std::string(65535, 'k')), "5");
  EXPECT_EQ(span.attributes.size(), 2U);
}

TEST(SpanLimits, never_cut_a_key_for_want_of_memory) {
  testing::Recorder recorder({.limits = {.attribute_value_length = 2, .span_bytes = 8192}});
  const std::string key_prefix(1000, 'k');
  {
    Span span = tracer().start("long keys");
    for (int i = 0; i < 100; ++i)
      span.set(key_prefix + std::to_string(i), i);
    for (int i = 0; i < 100; ++i)
      span.add_event("e", {{key_prefix + std::to_string(i), i}});
  }
  const auto span = only_span(recorder);
  EXPECT_GT(span.attributes.size(), 5U);
  EXPECT_LT(span.attributes.size(), 20U);
  EXPECT_EQ(span.attributes.size() + span.dropped_attributes, 100U);
  for (const testing::OwnedAttribute& attribute : span.attributes) {
    EXPECT_EQ(attribute.key, key_prefix + attribute.text());
  }
  for (const testing::OwnedEvent& event : span.events) {
    for (const testing::OwnedAttribute& attribute : event.attributes) {
      EXPECT_EQ(attribute.key, key_prefix + attribute.text());
    }
  }
}

// A whole text of the loop below, not the rest of one.
bool is_numbered(std::string_view text, std::string_view before, std::string_view after) {
  if (!text.starts_with(before) || !text.ends_with(after)) return false;
  text.remove_prefix(before.size());
  text.remove_suffix(after.size());
  return text.size() >= 3 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

TEST(SpanLimits, survive_replacing_a_value_for_ever) {
  testing::Recorder recorder;
  {
    Span span = tracer().start("busy");
    for (int i = 0; i < 100000; ++i) {
      span.set("progress", "step " + std::to_string(i) + std::string(50, '.'));
      span.set_name("busy " + std::to_string(i));
    }
    constexpr AttributeKey<std::int64_t> number{"number"};
    span.set(number, 1);
  }
  const auto span = only_span(recorder);
  EXPECT_EQ(span.attribute("number"), "1") << "what needs no memory is kept even then";
  EXPECT_EQ(span.attributes.size(), 2U);
  EXPECT_TRUE(is_numbered(span.name, "busy ", "")) << span.name;
  EXPECT_TRUE(is_numbered(span.attribute("progress"), "step ", std::string(50, '.')))
      << span.attribute("progress");
  EXPECT_GT(recorder.counters()[Counter::truncated_values], 0U);
}

// Uses up all that the span may hold.
void fill(Span& span) {
  for (int i = 0; i < 1000; ++i)
    span.set("filler", std::string(2000, 'x'));
}

TEST(SpanLimits, keep_what_was_there_when_nothing_of_the_new_text_fits) {
  testing::Recorder recorder;
  {
    Span span = tracer().start("first name");
    span.set("text", "kept");
    span.set("number", 5);
    span.set_status(StatusCode::error, "timed out");
    fill(span);
    const std::uint64_t cut = recorder.counters()[Counter::truncated_values];
    span.set_name("second");
    span.set("text", "lost");
    span.set("number", "seven");
    span.set_status(StatusCode::error, "refused");
    EXPECT_EQ(recorder.counters()[Counter::truncated_values], cut + 4);
  }
  EXPECT_EQ(recorder.tree({.without = {"filler"}}), R"(
first name INTERNAL
  status ERROR: timed out
  number = 5
  text = kept
)");
}

TEST(SpanLimits, let_what_needs_no_memory_replace_others_even_then) {
  testing::Recorder recorder;
  {
    Span span = tracer().start("first name");
    span.set("number", "one");
    span.set("cleared", "text");
    span.set_status(StatusCode::error, "timed out");
    fill(span);
    span.set("number", 1);
    span.set("cleared", "");
    span.set_status(StatusCode::error);
  }
  EXPECT_EQ(recorder.tree({.without = {"filler"}}), R"(
first name INTERNAL
  status ERROR
  cleared = )"
                                                    "\n  number = 1\n");
}

TEST(SpanLimits, of_no_characters_still_replace_a_value) {
  testing::Recorder recorder({.limits = {.attribute_value_length = 0}});
  {
    Span span = tracer().start("mute");
    span.set("a", 1);
    span.set("a", "text");
  }
  EXPECT_EQ(only_span(recorder).attribute("a"), "");
}

TEST(SpanLimits, keep_as_much_of_an_endless_name_as_the_span_may_hold) {
  std::string name;
  while (name.size() < 1000000)
    name += "€";
  const auto expect_cut = [&name](const std::string& kept) {
    EXPECT_GT(kept.size(), 250000U);
    EXPECT_LE(kept.size(), 256U * 1024U);
    EXPECT_EQ(kept.size() % 3, 0U) << "cut inside a character";
    EXPECT_EQ(kept, name.substr(0, kept.size()));
  };
  {
    SCOPED_TRACE("at start");
    testing::Recorder recorder;
    tracer().start(name).end();
    expect_cut(only_span(recorder).name);
    EXPECT_EQ(recorder.counters()[Counter::truncated_values], 1U);
  }
  {
    SCOPED_TRACE("later");
    testing::Recorder recorder;
    Span span = tracer().start("short");
    span.set_name(name);
    span.end();
    expect_cut(only_span(recorder).name);
    EXPECT_EQ(recorder.counters()[Counter::truncated_values], 1U);
  }
  {
    SCOPED_TRACE("of an event");
    testing::Recorder recorder;
    Span span = tracer().start("short");
    span.add_event(name);
    span.end();
    expect_cut(only_span(recorder).events.at(0).name);
    EXPECT_EQ(only_span(recorder).name, "short");
    EXPECT_EQ(recorder.counters()[Counter::truncated_values], 1U);
  }
}

}  // namespace
}  // namespace midtrace

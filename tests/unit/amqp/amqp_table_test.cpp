// The AMQP carrier on tables of its own, and sizes against what rabbitmq-c encodes.

#include "table.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tables.h"

#include <midtrace/propagation/propagator.h>

namespace midtrace {
namespace {

using amqp::detail::encoded_entry_bytes;
using amqp::detail::encoded_table_bytes;
using amqp::detail::header_frame_payload_bytes;
using amqp::detail::TableReader;
using midtrace_test::Array;
using midtrace_test::bytes_of;
using midtrace_test::encoded;
using midtrace_test::EveryKind;
using midtrace_test::integer_value;
using midtrace_test::Table;
using midtrace_test::text_value;
using midtrace_test::value_of;

constexpr std::string_view fields[] = {"traceparent", "tracestate", "baggage"};

std::vector<std::string> all(const TableReader& reader, std::string_view name) {
  std::vector<std::string> values;
  reader.get_all(name, [&](std::string_view value) {
    values.emplace_back(value);
    return true;
  });
  return values;
}

std::vector<std::string> names(const TableReader& reader) {
  std::vector<std::string> names;
  reader.for_each([&](std::string_view name, std::string_view) {
    names.emplace_back(name);
    return true;
  });
  return names;
}

TEST(AmqpTableReader, AMessageWithoutHeadersHasNoFields) {
  const TableReader reader(nullptr, fields, true);
  EXPECT_FALSE(reader.has_fields());
  EXPECT_TRUE(reader.entries().empty());
  EXPECT_EQ(reader.wire_bytes(), 4U);
  EXPECT_TRUE(all(reader, "traceparent").empty());
  EXPECT_TRUE(names(reader).empty());
}

TEST(AmqpTableReader, FindsFieldsInWireOrderAndOthersToo) {
  Table table;
  table.add("traceparent", text_value("a")).add("n", text_value("1"));
  table.add("traceparent", text_value("b", AMQP_FIELD_KIND_BYTES)).add("tracestate", text_value("s"));
  const amqp_table_t given = table.get();
  const TableReader reader(&given, fields, false);
  EXPECT_TRUE(reader.has_fields());
  EXPECT_EQ(all(reader, "traceparent"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(all(reader, "tracestate"), (std::vector<std::string>{"s"}));
  EXPECT_EQ(all(reader, "n"), (std::vector<std::string>{"1"}));
  EXPECT_TRUE(all(reader, "baggage").empty());
  EXPECT_EQ(names(reader), (std::vector<std::string>{"traceparent", "n", "traceparent", "tracestate"}));
  EXPECT_FALSE(reader.wire_bytes().has_value());
}

TEST(AmqpTableReader, AVisitorThatHasEnoughIsNotCalledAgain) {
  Table table;
  table.add("traceparent", text_value("a")).add("traceparent", text_value("b"));
  const amqp_table_t given = table.get();
  int calls = 0;
  TableReader(&given, fields, false).get_all("traceparent", [&](std::string_view) { return ++calls > 1; });
  EXPECT_EQ(calls, 1);
}

TEST(AmqpTableReader, NamesAreCaseSensitive) {
  Table table;
  table.add("Traceparent", text_value("a"));
  const amqp_table_t given = table.get();
  EXPECT_FALSE(TableReader(&given, fields, false).has_fields());
}

TEST(AmqpTableReader, OnlyTextCountsButTheFieldIsThere) {
  EveryKind every;
  const amqp_table_t kinds = every.table().get();
  for (int index = 0; index < kinds.num_entries; ++index) {
    const amqp_field_value_t& value = kinds.entries[index].value;
    const bool text = value.kind == AMQP_FIELD_KIND_UTF8 || value.kind == AMQP_FIELD_KIND_BYTES;
    Table table;
    table.add("traceparent", value);
    const amqp_table_t given = table.get();
    const TableReader reader(&given, fields, false);
    EXPECT_TRUE(reader.has_fields()) << value.kind;
    EXPECT_EQ(all(reader, "traceparent").size(), text ? 1U : 0U) << value.kind;
    EXPECT_EQ(names(reader).size(), text ? 1U : 0U) << value.kind;
  }
}

TEST(AmqpTableReader, BytesComeAsTheyAre) {
  const std::string bytes("\0\xFF\0", 3);
  Table table;
  table.add("tracestate", text_value(bytes));
  const amqp_table_t given = table.get();
  EXPECT_EQ(all(TableReader(&given, fields, false), "tracestate"), (std::vector<std::string>{bytes}));
}

TEST(AmqpTableReader, MoreDuplicatesThanItRemembersAreStillAllThere) {
  Table table;
  for (int count = 0; count < 100; ++count)
    table.add("traceparent", text_value("v"));
  const amqp_table_t given = table.get();
  EXPECT_EQ(all(TableReader(&given, fields, false), "traceparent").size(), 100U);
}

TEST(AmqpTableReader, HostileTablesAreEmpty) {
  amqp_table_entry_t entry = {bytes_of("traceparent"), text_value("a")};
  amqp_table_entry_t nameless = {{7, nullptr}, text_value("a")};
  for (const amqp_table_t& table : {amqp_table_t{-1, &entry}, amqp_table_t{3, nullptr},
                                    amqp_table_t{0, nullptr}, amqp_table_t{1, &nameless}}) {
    const TableReader reader(&table, fields, true);
    EXPECT_FALSE(reader.has_fields());
    EXPECT_TRUE(names(reader).empty());
  }
  amqp_table_entry_t valueless = {bytes_of("traceparent"), value_of(AMQP_FIELD_KIND_UTF8)};
  valueless.value.value.bytes = {7, nullptr};
  const amqp_table_t table = {1, &valueless};
  const TableReader reader(&table, fields, true);
  EXPECT_EQ(all(reader, "traceparent"), (std::vector<std::string>{""}));
  EXPECT_FALSE(reader.wire_bytes().has_value());
}

TEST(AmqpTableReader, AContextIsExtractedWithTheLastOfRepeatedFields) {
  Table table;
  table.add("traceparent", text_value("00-11111111111111111111111111111111-2222222222222222-01"));
  table.add("traceparent", text_value("00-33333333333333333333333333333333-4444444444444444-01"));
  amqp_basic_properties_t properties = {};
  properties._flags = AMQP_BASIC_HEADERS_FLAG;
  properties.headers = table.get();
  const Context context = amqp::detail::carried_context(&properties);
  EXPECT_EQ(context.span.span_id.to_string(), "4444444444444444");
  properties._flags = 0;
  EXPECT_FALSE(amqp::detail::carried_context(&properties).span.valid());
  EXPECT_FALSE(amqp::detail::carried_context(nullptr).span.valid());
}

TEST(AmqpSizes, AreThoseOfTheLibraryForEveryKind) {
  EveryKind every;
  const amqp_table_t table = every.table().get();
  for (int index = 0; index < table.num_entries; ++index) {
    const amqp_table_entry_t& entry = table.entries[index];
    ASSERT_FALSE(encoded(entry).empty());
    EXPECT_EQ(encoded_entry_bytes(entry), encoded(entry).size() - 4) << entry.value.kind;
  }
  EXPECT_EQ(encoded_table_bytes(table), encoded(table).size());
  EXPECT_EQ(encoded_table_bytes(amqp_empty_table), 4U);
  const amqp_table_t negative = {-5, nullptr};
  EXPECT_EQ(encoded_table_bytes(negative), encoded(negative).size());
}

TEST(AmqpSizes, MeasuredIsTheWholeTableAndTheContextInIt) {
  Table table;
  table.add("traceparent", text_value("a")).add("traceparent", value_of(AMQP_FIELD_KIND_VOID));
  table.add("baggage", text_value("k=v")).add("n", integer_value(1));
  const amqp_table_t given = table.get();
  const TableReader reader(&given, fields, true);
  EXPECT_EQ(reader.wire_bytes(), encoded(given).size());
  EXPECT_EQ(reader.context_wire_bytes(), (1U + 11 + 1 + 4 + 1) + (1 + 11 + 1));
}

TEST(AmqpSizes, WhatTheLibraryDoesNotEncodeFaithfullyHasNone) {
  const std::string long_name(256, 'n');
  const auto none = [](const char* what, std::string_view name, const amqp_field_value_t& value) {
    Table table;
    table.add(name, value);
    EXPECT_FALSE(encoded_table_bytes(table.get()).has_value()) << what;
    Array array;
    array.add(table.value());
    Table outer;
    outer.add("outer", array.value());
    EXPECT_FALSE(encoded_table_bytes(outer.get()).has_value()) << what << ", inside";
  };
  none("long name", long_name, integer_value(1));
  none("unknown kind", "n", value_of('z'));
  none("no kind", "n", value_of('\0'));
  amqp_field_value_t value = value_of(AMQP_FIELD_KIND_UTF8);
  value.value.bytes = {3, nullptr};
  none("null text", "n", value);
  value.value.bytes = {std::size_t{1} << 32U, const_cast<char*>("")};
  none("text of 4 GiB", "n", value);
  value = value_of(AMQP_FIELD_KIND_TABLE);
  value.value.table = {1, nullptr};
  none("null table", "n", value);
  value = value_of(AMQP_FIELD_KIND_ARRAY);
  value.value.array = {1, nullptr};
  none("null array", "n", value);

  Table longest;
  longest.add(std::string_view(long_name).substr(1), integer_value(1));
  EXPECT_EQ(encoded_table_bytes(longest.get()), encoded(longest.get()).size());
}

TEST(AmqpSizes, NestingHasALimit) {
  for (const int depth : {1, 99, 100, 101, 5000}) {
    std::vector<amqp_table_entry_t> chain(static_cast<std::size_t>(depth) + 1);
    for (std::size_t level = 0; level < chain.size(); ++level) {
      chain[level] = {bytes_of("n"), value_of(AMQP_FIELD_KIND_VOID)};
      if (level + 1 == chain.size()) break;
      chain[level].value.kind = AMQP_FIELD_KIND_TABLE;
      chain[level].value.value.table = {1, &chain[level + 1]};
    }
    const amqp_table_t table = {1, chain.data()};
    EXPECT_EQ(encoded_table_bytes(table).has_value(), depth <= 100) << depth;
    if (depth <= 100) {
      EXPECT_EQ(encoded_table_bytes(table), encoded(table).size());
    }
  }
}

// What rabbitmq-c writes for the properties, found by publishing nowhere: the frame's size by the same rules.
struct PropertiesCase {
  const char* what;
  std::function<void(amqp_basic_properties_t&)> set;
  std::optional<std::size_t> bytes;  // beside class, weight, body size and flags
};

TEST(AmqpSizes, HeaderFramesByTheirProperties) {
  static const std::string longest(255, 'v');
  static const std::string too_long(256, 'v');
  const auto text = [](amqp_flags_t flag, amqp_bytes_t amqp_basic_properties_t::*member,
                       const std::string& value) {
    return [=, &value](amqp_basic_properties_t& properties) {
      properties._flags |= flag;
      properties.*member = bytes_of(value);
    };
  };
  using P = amqp_basic_properties_t;
  const std::vector<PropertiesCase> cases = {
      {"nothing", [](P&) {}, 0},
      {"values without flags",
       [](P& p) {
         p.app_id = bytes_of("unsaid");
         p.headers = {1, nullptr};
       },
       0},
      {"content type", text(AMQP_BASIC_CONTENT_TYPE_FLAG, &P::content_type, longest), 256},
      {"content encoding", text(AMQP_BASIC_CONTENT_ENCODING_FLAG, &P::content_encoding, longest), 256},
      {"correlation id", text(AMQP_BASIC_CORRELATION_ID_FLAG, &P::correlation_id, longest), 256},
      {"reply to", text(AMQP_BASIC_REPLY_TO_FLAG, &P::reply_to, longest), 256},
      {"expiration", text(AMQP_BASIC_EXPIRATION_FLAG, &P::expiration, longest), 256},
      {"message id", text(AMQP_BASIC_MESSAGE_ID_FLAG, &P::message_id, longest), 256},
      {"type", text(AMQP_BASIC_TYPE_FLAG, &P::type, longest), 256},
      {"user id", text(AMQP_BASIC_USER_ID_FLAG, &P::user_id, longest), 256},
      {"app id", text(AMQP_BASIC_APP_ID_FLAG, &P::app_id, longest), 256},
      {"cluster id", text(AMQP_BASIC_CLUSTER_ID_FLAG, &P::cluster_id, longest), 256},
      {"a property over 255 bytes", text(AMQP_BASIC_APP_ID_FLAG, &P::app_id, too_long), std::nullopt},
      {"delivery mode", [](P& p) { p._flags = AMQP_BASIC_DELIVERY_MODE_FLAG; }, 1},
      {"priority", [](P& p) { p._flags = AMQP_BASIC_PRIORITY_FLAG; }, 1},
      {"timestamp", [](P& p) { p._flags = AMQP_BASIC_TIMESTAMP_FLAG; }, 8},
      {"empty headers", [](P& p) { p._flags = AMQP_BASIC_HEADERS_FLAG; }, 4},
      {"flags nobody knows", [](P& p) { p._flags = 1U << 20U; }, 2},
      {"headers that must be left alone",
       [](P& p) {
         p._flags = AMQP_BASIC_HEADERS_FLAG;
         p.headers = {1, nullptr};
       },
       std::nullopt},
  };
  for (const PropertiesCase& each : cases) {
    amqp_basic_properties_t properties = {};
    each.set(properties);
    const auto bytes = header_frame_payload_bytes(&properties);
    ASSERT_EQ(bytes.has_value(), each.bytes.has_value()) << each.what;
    if (!bytes.has_value()) continue;
    EXPECT_EQ(*bytes, 14 + *each.bytes) << each.what;
    std::string buffer(4096, '\0');
    const int library = amqp_encode_properties(AMQP_BASIC_CLASS, &properties, {buffer.size(), buffer.data()});
    EXPECT_EQ(library + 12, static_cast<int>(*bytes)) << each.what;
    // Another table takes the place of theirs.
    const std::size_t theirs = (properties._flags & AMQP_BASIC_HEADERS_FLAG) != 0 ? 4 : 0;
    EXPECT_EQ(header_frame_payload_bytes(&properties, 1000), *bytes - theirs + 1000) << each.what;
  }
  EXPECT_EQ(header_frame_payload_bytes(nullptr), 14U);
  EXPECT_EQ(header_frame_payload_bytes(nullptr, 100), 114U);
}

}  // namespace
}  // namespace midtrace

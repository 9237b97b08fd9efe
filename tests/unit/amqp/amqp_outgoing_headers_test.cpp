// Headers as they go out: the caller's entries as they were, and ours.

#include "outgoing_headers.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "messaging/field_buffer.h"
#include "support/allocations.h"
#include "table.h"
#include "tables.h"

namespace midtrace {
namespace {

using amqp::detail::most_outgoing_bytes;
using amqp::detail::OutgoingHeaders;
using amqp::detail::TableReader;
using messaging::FieldBuffer;
using midtrace_test::encoded;
using midtrace_test::EveryKind;
using midtrace_test::integer_value;
using midtrace_test::Table;
using midtrace_test::text_value;
using midtrace_test::value_of;

constexpr std::string_view format[] = {"traceparent", "tracestate", "b3", "baggage"};

std::vector<std::string> encoded_entries(const amqp_table_t& table) {
  std::vector<std::string> entries;
  for (int index = 0; index < table.num_entries; ++index)
    entries.push_back(encoded(table.entries[index]));
  return entries;
}

std::vector<std::string> names(const amqp_table_t& table) {
  std::vector<std::string> names;
  for (int index = 0; index < table.num_entries; ++index)
    names.emplace_back(amqp::detail::text_of(table.entries[index].key));
  return names;
}

TEST(AmqpOutgoingHeaders, EveryKindGoesThroughByteForByte) {
  EveryKind every;
  const amqp_table_t caller = every.table().get();
  const std::string before = encoded(caller);
  FieldBuffer fields;
  fields.set("traceparent", "00-1");
  fields.set("tracestate", "");
  OutgoingHeaders outgoing;
  ASSERT_TRUE(outgoing.build(TableReader(&caller, format, true), fields));

  const std::string bytes = encoded(outgoing.table());
  ASSERT_FALSE(bytes.empty());
  EXPECT_EQ(outgoing.wire_bytes(), bytes.size());
  // The caller's entries as they were, in front.
  EXPECT_EQ(bytes.substr(4, before.size() - 4), before.substr(4));
  EXPECT_EQ(encoded(caller), before);

  amqp_pool_t pool;
  init_amqp_pool(&pool, 4096);
  amqp_table_t decoded = {};
  std::size_t offset = 0;
  ASSERT_EQ(amqp_decode_table({bytes.size(), const_cast<char*>(bytes.data())}, &pool, &decoded, &offset),
            AMQP_STATUS_OK);
  std::vector<std::string> expected = encoded_entries(caller);
  Table ours;
  ours.add("traceparent", text_value("00-1")).add("tracestate", text_value(""));
  for (const std::string& entry : encoded_entries(ours.get()))
    expected.push_back(entry);
  EXPECT_EQ(encoded_entries(decoded), expected);
  empty_amqp_pool(&pool);
}

TEST(AmqpOutgoingHeaders, NothingOfTheCallersIsCopied) {
  EveryKind every;
  const amqp_table_t caller = every.table().get();
  OutgoingHeaders outgoing;
  ASSERT_TRUE(outgoing.build(TableReader(&caller, format, true), FieldBuffer()));
  const amqp_table_t table = outgoing.table();
  ASSERT_EQ(table.num_entries, caller.num_entries);
  EXPECT_NE(table.entries, caller.entries);
  for (int index = 0; index < table.num_entries; ++index) {
    EXPECT_EQ(table.entries[index].key.bytes, caller.entries[index].key.bytes);
    if (table.entries[index].value.kind == AMQP_FIELD_KIND_TABLE) {
      EXPECT_EQ(table.entries[index].value.value.table.entries,
                caller.entries[index].value.value.table.entries);
    }
  }
}

struct MakesWay {
  const char* what;
  std::vector<std::string> caller;
  std::vector<std::string> ours;
  std::vector<std::string> result;
};

TEST(AmqpOutgoingHeaders, WhatMakesWay) {
  const std::vector<MakesWay> cases = {
      {"no headers before", {}, {"traceparent"}, {"traceparent"}},
      {"nothing of ours", {"a", "traceparent"}, {}, {"a", "traceparent"}},
      {"others stay in order", {"b", "a"}, {"traceparent"}, {"b", "a", "traceparent"}},
      {"the same name", {"a", "traceparent", "b"}, {"traceparent"}, {"a", "b", "traceparent"}},
      {"every one of the same name", {"traceparent", "traceparent"}, {"traceparent"}, {"traceparent"}},
      {"the rest of an old context", {"tracestate", "b3", "a"}, {"traceparent"}, {"a", "traceparent"}},
      {"old baggage stays", {"baggage"}, {"traceparent"}, {"baggage", "traceparent"}},
      {"unless replaced", {"baggage", "a"}, {"traceparent", "baggage"}, {"a", "traceparent", "baggage"}},
      {"baggage alone replaces no context",
       {"traceparent", "baggage"},
       {"baggage"},
       {"traceparent", "baggage"}},
      {"other case, other name", {"Traceparent"}, {"traceparent"}, {"Traceparent", "traceparent"}},
      {"a nameless entry stays", {""}, {"traceparent"}, {"", "traceparent"}},
      {"names that depend on the context", {"uberctx-k"}, {"uberctx-k"}, {"uberctx-k"}},
  };
  OutgoingHeaders outgoing;
  FieldBuffer fields;
  for (const MakesWay& each : cases) {
    Table table;
    for (const std::string& name : each.caller)
      table.add(name, text_value("old"));
    fields.clear();
    for (const std::string& name : each.ours)
      fields.set(name, "new");
    const amqp_table_t caller = table.get();
    ASSERT_TRUE(outgoing.build(TableReader(&caller, format, true), fields)) << each.what;
    EXPECT_EQ(names(outgoing.table()), each.result) << each.what;
    EXPECT_EQ(outgoing.wire_bytes(), encoded(outgoing.table()).size()) << each.what;
    EXPECT_EQ(names(caller), each.caller) << each.what;
  }
}

TEST(AmqpOutgoingHeaders, AnEntryOfAnotherKindMakesWayToo) {
  EveryKind every;
  Table table;
  table.add("traceparent", every.table().value()).add("tracestate", integer_value(1)).add("a", value_of('V'));
  const amqp_table_t caller = table.get();
  FieldBuffer fields;
  fields.set("traceparent", "new");
  OutgoingHeaders outgoing;
  ASSERT_TRUE(outgoing.build(TableReader(&caller, format, true), fields));
  EXPECT_EQ(names(outgoing.table()), (std::vector<std::string>{"a", "traceparent"}));
  EXPECT_EQ(outgoing.wire_bytes(), encoded(outgoing.table()).size());
}

TEST(AmqpOutgoingHeaders, ATableThatMustBeLeftAloneIs) {
  Table unknown;
  unknown.add("n", value_of('z'));
  const amqp_table_t caller = unknown.get();
  FieldBuffer fields;
  fields.set("traceparent", "new");
  OutgoingHeaders outgoing;
  EXPECT_FALSE(outgoing.build(TableReader(&caller, format, true), fields));
  EXPECT_EQ(outgoing.table().num_entries, 0);
  EXPECT_EQ(outgoing.wire_bytes(), 4U);
  EXPECT_FALSE(outgoing.build(TableReader(nullptr, format, false), fields)) << "not measured";

  const std::string long_name(256, 'n');
  fields.set(long_name, "v");
  EXPECT_FALSE(outgoing.build(TableReader(nullptr, format, true), fields)) << "a name too long for a table";
  EXPECT_EQ(outgoing.table().num_entries, 0);
}

TEST(AmqpOutgoingHeaders, TheSizeIsKnownBeforeItIsBuilt) {
  Table table;
  table.add("traceparent", text_value("old")).add("a", integer_value(1)).add("baggage", text_value("k=v"));
  const amqp_table_t caller = table.get();
  const TableReader reader(&caller, format, true);
  OutgoingHeaders outgoing;
  FieldBuffer fields;
  ASSERT_TRUE(outgoing.build(reader, fields));
  EXPECT_EQ(most_outgoing_bytes(reader, fields), outgoing.wire_bytes()) << "nothing";

  fields.set("traceparent", "new one");
  ASSERT_TRUE(outgoing.build(reader, fields));
  EXPECT_EQ(most_outgoing_bytes(reader, fields), outgoing.wire_bytes()) << "a context";

  fields.set("baggage", "k=w");
  ASSERT_TRUE(outgoing.build(reader, fields));
  EXPECT_EQ(most_outgoing_bytes(reader, fields), outgoing.wire_bytes() + 1 + 7 + 1 + 4 + 3) << "and baggage";

  fields.clear();
  fields.set("baggage", "k=w");
  ASSERT_TRUE(outgoing.build(reader, fields));
  EXPECT_EQ(most_outgoing_bytes(reader, fields), outgoing.wire_bytes() + 1 + 7 + 1 + 4 + 3)
      << "baggage alone, and the old context stays";

  EXPECT_FALSE(most_outgoing_bytes(TableReader(&caller, format, false), fields).has_value())
      << "not measured";
}

TEST(AmqpOutgoingHeaders, InSteadyStateNothingIsAllocated) {
  EveryKind every;
  const amqp_table_t caller = every.table().get();
  FieldBuffer fields;
  OutgoingHeaders outgoing;
  if (!test::allocations_are_counted) GTEST_SKIP() << "the sanitizer has a heap of its own";
  const auto build = [&] {
    fields.clear();
    fields.set("traceparent", "00-11111111111111111111111111111111-2222222222222222-01");
    return outgoing.build(TableReader(&caller, format, true), fields);
  };
  ASSERT_TRUE(build());
  const std::uint64_t before = test::allocations_of_this_thread();
  for (int times = 0; times < 10; ++times)
    build();
  EXPECT_EQ(test::allocations_of_this_thread() - before, 0U);
}

TEST(AmqpOutgoingHeaders, OneHugeTableIsNotKeptInMemory) {
  Table table;
  for (int index = 0; index < 5000; ++index)
    table.add("n", integer_value(1));
  const amqp_table_t huge = table.get();
  OutgoingHeaders outgoing;
  FieldBuffer fields;
  fields.set("traceparent", "v");
  ASSERT_TRUE(outgoing.build(TableReader(&huge, format, true), fields));
  EXPECT_EQ(outgoing.wire_bytes(), encoded(outgoing.table()).size());
  const amqp_table_entry_t* large = outgoing.table().entries;
  ASSERT_TRUE(outgoing.build(TableReader(nullptr, format, true), fields));
  EXPECT_NE(outgoing.table().entries, large);
  EXPECT_EQ(names(outgoing.table()), (std::vector<std::string>{"traceparent"}));
}

}  // namespace
}  // namespace midtrace

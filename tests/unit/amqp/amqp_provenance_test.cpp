// What a received message's headers say of its history, as the versions of RabbitMQ write them.

#include "provenance.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tables.h"

namespace midtrace {
namespace {

using amqp::detail::max_attempt;
using amqp::detail::Provenance;
using amqp::detail::provenance_of;
using midtrace_test::Array;
using midtrace_test::integer_value;
using midtrace_test::Table;
using midtrace_test::text_value;
using midtrace_test::value_of;

struct Deaths {
  std::string_view reason;
  std::int64_t count;
};

struct Case {
  const char* what;
  bool redelivered;
  std::vector<std::pair<std::string_view, std::int64_t>> counters;
  std::vector<Deaths> deaths;
  std::int64_t attempt;
  std::uint64_t dead;
};

TEST(AmqpProvenance, AttemptsByQueueAndVersion) {
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const std::vector<Case> cases = {
      {"classic, first", false, {}, {}, 1, 0},
      {"classic, requeued: nobody counts", true, {}, {}, 0, 0},
      {"quorum before 3.12, first", false, {{"x-delivery-count", 0}}, {}, 1, 0},
      {"quorum, second", true, {{"x-delivery-count", 1}}, {}, 2, 0},
      {"quorum, fifth", true, {{"x-delivery-count", 4}}, {}, 5, 0},
      {"quorum 4.3, returned by nack", true, {{"x-delivery-count", 0}, {"x-acquired-count", 3}}, {}, 4, 0},
      {"quorum 4.3, the other order", true, {{"x-acquired-count", 3}, {"x-delivery-count", 1}}, {}, 4, 0},
      {"a count copied from another message", false, {{"x-delivery-count", 9}}, {}, 1, 0},
      {"rejected once, from the dead letter queue", false, {}, {{"rejected", 1}}, 2, 1},
      {"a retry queue with a TTL", false, {}, {{"expired", 3}, {"rejected", 3}}, 4, 6},
      {"expired before anyone saw it", false, {}, {{"expired", 1}}, 1, 1},
      {"overflowed", false, {}, {{"maxlen", 2}}, 1, 2},
      {"returned too often", false, {}, {{"delivery_limit", 1}}, 2, 1},
      {"rejected, then returned", true, {{"x-delivery-count", 2}}, {{"rejected", 1}}, 4, 1},
      {"rejected, then requeued by a classic queue", true, {}, {{"rejected", 1}}, 0, 1},
      {"a reason of a later version", false, {}, {{"boredom", 2}}, 1, 2},
      {"negative", true, {{"x-delivery-count", -5}}, {{"rejected", -5}}, 1, 0},
      {"absurd",
       true,
       {{"x-delivery-count", most}},
       {{"rejected", most}},
       max_attempt,
       static_cast<std::uint64_t>(max_attempt)},
  };
  for (const Case& each : cases) {
    std::vector<Table> tables(each.deaths.size());
    Array array;
    for (std::size_t index = 0; index < tables.size(); ++index) {
      tables[index].add("reason", text_value(each.deaths[index].reason));
      tables[index].add("queue", text_value("q")).add("count", integer_value(each.deaths[index].count));
      array.add(tables[index].value());
    }
    Table headers;
    for (const auto& [name, count] : each.counters)
      headers.add(name, integer_value(count));
    if (!tables.empty()) headers.add("x-death", array.value());
    const amqp_table_t table = headers.get();
    const Provenance found = provenance_of(&table, each.redelivered);
    EXPECT_EQ(found.attempt, each.attempt) << each.what;
    EXPECT_EQ(found.deaths, each.dead) << each.what;
    EXPECT_EQ(found.dead_lettered, !each.deaths.empty()) << each.what;
  }
}

TEST(AmqpProvenance, CountsOfEveryIntegerKindAndNoOther) {
  for (const char kind : std::string_view("bBsuIilL")) {
    Table headers;
    headers.add("x-delivery-count", integer_value(2, kind));
    const amqp_table_t table = headers.get();
    EXPECT_EQ(provenance_of(&table, true).attempt, 3) << kind;
  }
  for (const char kind : std::string_view("bsIl")) {
    Table headers;
    headers.add("x-delivery-count", integer_value(-2, kind));
    const amqp_table_t table = headers.get();
    EXPECT_EQ(provenance_of(&table, true).attempt, 1) << kind;
  }
  for (const char kind : std::string_view("tfdDSxTVFAz")) {
    Table headers;
    headers.add("x-delivery-count", value_of(kind));
    const amqp_table_t table = headers.get();
    EXPECT_EQ(provenance_of(&table, true).attempt, 0) << kind;
  }
}

TEST(AmqpProvenance, AnAbsurdUnsignedCountIsClamped) {
  Table headers;
  headers.add("x-delivery-count", integer_value(-1, AMQP_FIELD_KIND_U64));
  const amqp_table_t table = headers.get();
  EXPECT_EQ(provenance_of(&table, true).attempt, max_attempt);
}

TEST(AmqpProvenance, TheFirstDeath) {
  Table headers;
  headers.add("x-first-death-exchange", text_value("")).add("x-first-death-queue", text_value("work"));
  headers.add("x-first-death-reason", text_value("rejected"));
  const amqp_table_t table = headers.get();
  const Provenance found = provenance_of(&table, false);
  EXPECT_TRUE(found.dead_lettered);
  EXPECT_EQ(found.first_death_queue, "work");
  EXPECT_EQ(found.first_death_exchange, "");
  EXPECT_EQ(found.first_death_reason, "rejected");
}

TEST(AmqpProvenance, OnlyTheFirstDeathsOfManyAreRead) {
  Table death;
  death.add("reason", text_value("rejected")).add("count", integer_value(1));
  Array array;
  for (int index = 0; index < 1000; ++index)
    array.add(death.value());
  Table headers;
  headers.add("x-death", array.value()).add("x-death", array.value());
  const amqp_table_t table = headers.get();
  EXPECT_EQ(provenance_of(&table, false).deaths, 64U);
}

TEST(AmqpProvenance, WrongKindsAndNullPointersSayNothing) {
  EXPECT_EQ(provenance_of(nullptr, false).attempt, 1);
  EXPECT_EQ(provenance_of(nullptr, true).attempt, 0);
  amqp_field_value_t null_array = value_of(AMQP_FIELD_KIND_ARRAY);
  null_array.value.array = {5, nullptr};
  amqp_field_value_t null_table = value_of(AMQP_FIELD_KIND_TABLE);
  null_table.value.table = {5, nullptr};
  Array of_texts;
  of_texts.add(text_value("rejected")).add(integer_value(3));
  for (const amqp_field_value_t& value : {null_array, null_table, of_texts.value(), integer_value(7),
                                          text_value("x"), value_of('V'), value_of('z')}) {
    Table headers;
    headers.add("x-death", value).add("x-first-death-reason", integer_value(1));
    const amqp_table_t table = headers.get();
    const Provenance found = provenance_of(&table, false);
    EXPECT_FALSE(found.dead_lettered) << value.kind;
    EXPECT_EQ(found.deaths, 0U) << value.kind;
    EXPECT_EQ(found.attempt, 1) << value.kind;
  }
  Array array;
  array.add(null_table);
  Table headers;
  headers.add("x-death", array.value());
  const amqp_table_t table = headers.get();
  EXPECT_EQ(provenance_of(&table, false).deaths, 1U) << "a death without a count is one";
}

}  // namespace
}  // namespace midtrace

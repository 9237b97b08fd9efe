// The Kafka header carrier on lists of its own, without a client.

#include "headers.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace midtrace {
namespace {

using kafka::detail::HeadersReader;

struct Destroy {
  void operator()(rd_kafka_headers_t* headers) const { rd_kafka_headers_destroy(headers); }
};
using Headers = std::unique_ptr<rd_kafka_headers_t, Destroy>;

constexpr std::string_view fields[] = {"traceparent", "tracestate", "baggage"};

Headers make(const std::vector<std::pair<std::string, const char*>>& list) {
  Headers headers(rd_kafka_headers_new(4));
  for (const auto& [name, value] : list)
    rd_kafka_header_add(headers.get(), name.c_str(), -1, value, -1);
  return headers;
}

std::vector<std::string> all(const HeadersReader& reader, std::string_view name) {
  std::vector<std::string> values;
  reader.get_all(name, [&](std::string_view value) {
    values.emplace_back(value);
    return true;
  });
  return values;
}

TEST(KafkaHeadersReader, AMessageWithoutHeadersHasNoFields) {
  const HeadersReader reader(nullptr, fields, true);
  EXPECT_FALSE(reader.has_fields());
  EXPECT_EQ(reader.wire_bytes(), 0U);
  EXPECT_TRUE(all(reader, "traceparent").empty());
}

TEST(KafkaHeadersReader, FindsFieldsInWireOrderAndOthersToo) {
  const Headers headers = make({{"traceparent", "a"}, {"x", "1"}, {"traceparent", "b"}, {"tracestate", "s"}});
  const HeadersReader reader(headers.get(), fields, false);
  EXPECT_TRUE(reader.has_fields());
  EXPECT_EQ(all(reader, "traceparent"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(all(reader, "tracestate"), (std::vector<std::string>{"s"}));
  EXPECT_EQ(all(reader, "x"), (std::vector<std::string>{"1"}));
  EXPECT_TRUE(all(reader, "baggage").empty());
}

TEST(KafkaHeadersReader, ANullValueIsNoValueButTheFieldIsThere) {
  const Headers headers = make({{"traceparent", nullptr}});
  const HeadersReader reader(headers.get(), fields, false);
  EXPECT_TRUE(reader.has_fields());
  EXPECT_TRUE(all(reader, "traceparent").empty());
}

TEST(KafkaHeadersReader, BytesComeAsTheyAre) {
  Headers headers(rd_kafka_headers_new(1));
  const std::string bytes("\0\xFF\0", 3);
  rd_kafka_header_add(headers.get(), "tracestate", -1, bytes.data(), 3);
  EXPECT_EQ(all(HeadersReader(headers.get(), fields, false), "tracestate"),
            (std::vector<std::string>{bytes}));
}

TEST(KafkaHeadersReader, MoreDuplicatesThanItRemembersAreStillAllThere) {
  std::vector<std::pair<std::string, const char*>> list(100, {"traceparent", "v"});
  const Headers headers = make(list);
  EXPECT_EQ(all(HeadersReader(headers.get(), fields, false), "traceparent").size(), 100U);
}

TEST(KafkaHeadersReader, AVisitorStopsTheWalk) {
  const Headers headers = make({{"traceparent", "a"}, {"traceparent", "b"}});
  int visits = 0;
  HeadersReader(headers.get(), fields, false).get_all("traceparent", [&](std::string_view) {
    return ++visits > 99;
  });
  EXPECT_EQ(visits, 1);
}

// name, value and one varint for each length; lengths are zigzag coded, so 64 needs a second byte.
TEST(KafkaHeadersReader, MeasuresHeadersAsARecordEncodesThem) {
  using kafka::detail::header_wire_bytes;
  EXPECT_EQ(header_wire_bytes(1, 0), 1U + 1 + 0 + 1);
  EXPECT_EQ(header_wire_bytes(11, 55), 11U + 1 + 55 + 1);
  EXPECT_EQ(header_wire_bytes(63, 63), 63U + 1 + 63 + 1);
  EXPECT_EQ(header_wire_bytes(64, 64), 64U + 2 + 64 + 2);
  EXPECT_EQ(header_wire_bytes(1, 8191), 1U + 1 + 8191 + 2);
  EXPECT_EQ(header_wire_bytes(1, 8192), 1U + 1 + 8192 + 3);
  const Headers headers = make({{"x", "1"}, {"traceparent", "ab"}, {"baggage", "c=d"}});
  const HeadersReader reader(headers.get(), fields, true);
  EXPECT_EQ(reader.wire_bytes(),
            header_wire_bytes(1, 1) + header_wire_bytes(11, 2) + header_wire_bytes(7, 3));
  EXPECT_EQ(reader.context_wire_bytes(), header_wire_bytes(11, 2));
}

TEST(KafkaFields, AreMeasuredAsARecordEncodesThem) {
  messaging::FieldBuffer fields_to_send;
  fields_to_send.set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  fields_to_send.set("baggage", "k=v");
  const std::size_t bytes = 68U + 1 + 7 + 1 + 3;
  EXPECT_EQ(kafka::detail::wire_bytes(fields_to_send), bytes);
  EXPECT_TRUE(kafka::detail::fit(fields_to_send, bytes));
  EXPECT_FALSE(kafka::detail::fit(fields_to_send, bytes - 1));
}

}  // namespace
}  // namespace midtrace

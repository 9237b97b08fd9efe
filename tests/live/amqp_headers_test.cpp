// What publishing does to the application's properties and headers: nothing. And what the message carries
// beside them, up to the frame's limit.
#include <array>
#include <cstring>

#include "live/amqp_headers.h"
#include "live/amqp_traced_fixture.h"

namespace midtrace::test {
namespace {

class AmqpHeaders : public AmqpTraced {
 protected:
  AmqpEnvelope published(TracedConnection& amqp, const amqp_basic_properties_t* properties) {
    const auto plain = connect();
    plain->declare_queue("orders");
    EXPECT_EQ(amqp.publish("", "orders", "order", properties), AMQP_STATUS_OK);
    EXPECT_TRUE(plain->consume("orders"));
    std::string why;
    AmqpEnvelope envelope = plain->next(&why);
    EXPECT_TRUE(envelope) << why;
    return envelope;
  }
  // What arrives when it is read by frames, which rabbitmq-c does not copy: every entry of the headers in the
  // bytes of the wire.
  std::vector<std::string> published_entries(TracedConnection& amqp,
                                             const amqp_basic_properties_t* properties) {
    const auto plain = connect();
    plain->declare_queue("orders");
    EXPECT_EQ(amqp.publish("", "orders", "order", properties), AMQP_STATUS_OK);
    EXPECT_TRUE(plain->consume("orders"));
    const timeval minute{60, 0};
    for (;;) {
      amqp_frame_t frame;
      const int status = amqp_simple_wait_frame_noblock(plain->state(), &frame, &minute);
      EXPECT_EQ(status, AMQP_STATUS_OK);
      if (status != AMQP_STATUS_OK) return {};
      if (frame.frame_type != AMQP_FRAME_HEADER) continue;
      const auto* arrived = static_cast<const amqp_basic_properties_t*>(frame.payload.properties.decoded);
      std::vector<std::string> entries;
      for (int index = 0; index < arrived->headers.num_entries; ++index)
        entries.push_back(encoded(arrived->headers.entries[index]));
      return entries;
    }
  }
  std::uint64_t skipped() { return recorder_->counters()[Counter::injection_skipped]; }
};

amqp_table_entry_t entry_of(std::string_view name, std::uint8_t kind) {
  amqp_table_entry_t entry{};
  entry.key = amqp_text(name);
  entry.value.kind = kind;
  return entry;
}

// One of each kind that rabbitmq-c encodes, nested ones too.
struct EveryKind {
  EveryKind() {
    const auto add = [this](std::string_view name, std::uint8_t kind) -> amqp_field_value_t& {
      entries.push_back(entry_of(name, kind));
      return entries.back().value;
    };
    entries.reserve(32);
    add("boolean", AMQP_FIELD_KIND_BOOLEAN).value.boolean = 1;
    add("i8", AMQP_FIELD_KIND_I8).value.i8 = -7;
    add("u8", AMQP_FIELD_KIND_U8).value.u8 = 200;
    add("i16", AMQP_FIELD_KIND_I16).value.i16 = -30000;
    add("u16", AMQP_FIELD_KIND_U16).value.u16 = 60000;
    add("i32", AMQP_FIELD_KIND_I32).value.i32 = -2000000000;
    add("u32", AMQP_FIELD_KIND_U32).value.u32 = 4000000000U;
    add("i64", AMQP_FIELD_KIND_I64).value.i64 = -9000000000000000000;
    add("f32", AMQP_FIELD_KIND_F32).value.f32 = 1.5F;
    add("f64", AMQP_FIELD_KIND_F64).value.f64 = -2.25;
    add("decimal", AMQP_FIELD_KIND_DECIMAL).value.decimal = {2, 12345};
    add("text", AMQP_FIELD_KIND_UTF8).value.bytes = amqp_text("text");
    add("no text", AMQP_FIELD_KIND_UTF8).value.bytes = amqp_text(std::string_view("\0\xff\n", 3));
    add("empty", AMQP_FIELD_KIND_UTF8).value.bytes = amqp_empty_bytes;
    add("bytes", AMQP_FIELD_KIND_BYTES).value.bytes = amqp_text(std::string_view("\x01\x00\x02", 3));
    add("timestamp", AMQP_FIELD_KIND_TIMESTAMP).value.u64 = 1704067200;
    add("void", AMQP_FIELD_KIND_VOID);
    add("", AMQP_FIELD_KIND_UTF8).value.bytes = amqp_text("a header without a name");
    add(long_name, AMQP_FIELD_KIND_UTF8).value.bytes = amqp_text("a name of 255 bytes");
    inner = {text_entry("deep", "er"), int_entry("n", 3), text_entry("traceparent", "not a header")};
    add("table", AMQP_FIELD_KIND_TABLE).value.table = table_of(inner);
    items[0].kind = AMQP_FIELD_KIND_TABLE;
    items[0].value.table = table_of(inner);
    items[1].kind = AMQP_FIELD_KIND_VOID;
    add("array", AMQP_FIELD_KIND_ARRAY).value.array = {2, items.data()};
    // Nothing in it, but somewhere: rabbitmq-c cannot clone this one.
    add("empty array", AMQP_FIELD_KIND_ARRAY).value.array = {0, items.data()};
    add("empty table", AMQP_FIELD_KIND_TABLE).value.table = {0, inner.data()};
    add("text", AMQP_FIELD_KIND_UTF8).value.bytes = amqp_text("a name that is there already");
  }

  std::string long_name = std::string(255, 'n');
  std::vector<amqp_table_entry_t> inner;
  std::array<amqp_field_value_t, 2> items{};
  std::vector<amqp_table_entry_t> entries;
};

TEST_F(AmqpHeaders, EveryKindOfFieldArrivesAsItWasBesideOurs) {
  EveryKind every;
  const Message message(every.entries);
  TracedConnection amqp = connect_traced();
  const std::vector<std::string> arrived = published_entries(amqp, &message.properties);
  ASSERT_EQ(arrived.size(), every.entries.size() + 1);
  for (std::size_t i = 0; i < every.entries.size(); ++i)
    EXPECT_EQ(arrived[i], encoded(every.entries[i])) << to_string(every.entries[i].key);
  EXPECT_EQ(arrived.back(),
            encoded(text_entry("traceparent", traceparent(recorder_->spans().at(0).context))));
  EXPECT_EQ(skipped(), 0U);
}

// Received by the wrapper and published again: the fields go round unchanged once more. All but empty arrays
// and names, at which rabbitmq-c gives up when it copies a received message.
TEST_F(AmqpHeaders, WhatIsReceivedAndForwardedKeepsItsFields) {
  EveryKind every;
  std::erase_if(every.entries, [](const amqp_table_entry_t& entry) {
    return entry.key.len == 0 ||
           (entry.value.kind == AMQP_FIELD_KIND_ARRAY && entry.value.value.array.num_entries == 0);
  });
  const Message message(every.entries);
  TracedConnection amqp = connect_traced();
  amqp.declare_queue("first");
  ASSERT_TRUE(amqp.consume("first", true));
  ASSERT_EQ(amqp.publish("", "first", "order", &message.properties), AMQP_STATUS_OK);
  const AmqpEnvelope received = amqp.next();
  ASSERT_TRUE(received);
  const AmqpEnvelope envelope = published(amqp, &received->message.properties);
  ASSERT_TRUE(envelope);
  const amqp_table_t& arrived = envelope->message.properties.headers;
  ASSERT_EQ(arrived.num_entries, static_cast<int>(every.entries.size()) + 1);
  for (std::size_t i = 0; i < every.entries.size(); ++i)
    EXPECT_EQ(encoded(arrived.entries[i]), encoded(every.entries[i])) << to_string(every.entries[i].key);
  EXPECT_NE(header(headers_of(envelope), "traceparent"), header(headers_of(received), "traceparent"));
}

TEST_F(AmqpHeaders, TheCallersPropertiesAreBitForBitWhatTheyWere) {
  EveryKind every;
  every.entries.push_back(
      text_entry("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
  Message message(every.entries);
  message.id("7").correlation("8");
  const std::vector<amqp_table_entry_t> headers = message.headers;
  const amqp_basic_properties_t properties = message.properties;
  const std::string table = encoded(message.properties.headers);
  for (const amqp::ExistingContext existing :
       {amqp::ExistingContext::automatic, amqp::ExistingContext::keep, amqp::ExistingContext::replace}) {
    for (const ModuleMode mode : {ModuleMode::on, ModuleMode::propagate, ModuleMode::off}) {
      TracedConnection amqp =
          connect_traced({.mode = mode, .existing_context = existing, .captured_headers = {"*"}});
      ASSERT_EQ(amqp.publish("", "orders", "order", &message.properties), AMQP_STATUS_OK);
      ASSERT_NE(amqp->confirm_select(1), nullptr);
      ASSERT_EQ(amqp.publish("", "orders", "order", &message.properties), AMQP_STATUS_OK);
      EXPECT_EQ(std::memcmp(&properties, &message.properties, sizeof properties), 0);
      EXPECT_EQ(std::memcmp(headers.data(), message.headers.data(), headers.size() * sizeof headers[0]), 0);
      EXPECT_EQ(encoded(message.properties.headers), table);
    }
  }
}

TEST_F(AmqpHeaders, PropertiesWithoutTheHeadersFlagHaveNone) {
  std::vector<amqp_table_entry_t> garbage{text_entry("x", "y")};
  Message message;
  message.id("7");
  message.properties.headers = table_of(garbage);  // but the flag is not set
  TracedConnection amqp = connect_traced();
  const AmqpEnvelope envelope = published(amqp, &message.properties);
  EXPECT_EQ(headers_of(envelope),
            (HeaderList{{"traceparent", traceparent(recorder_->spans().at(0).context)}}));
  EXPECT_EQ(to_string(envelope->message.properties.message_id), "7");
}

TEST_F(AmqpHeaders, EveryOtherPropertyArrives) {
  amqp_basic_properties_t properties{};
  properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CONTENT_ENCODING_FLAG |
                      AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_PRIORITY_FLAG |
                      AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_REPLY_TO_FLAG | AMQP_BASIC_EXPIRATION_FLAG |
                      AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_TYPE_FLAG |
                      AMQP_BASIC_USER_ID_FLAG | AMQP_BASIC_APP_ID_FLAG | AMQP_BASIC_CLUSTER_ID_FLAG;
  properties.content_type = amqp_text("text/plain");
  properties.content_encoding = amqp_text("identity");
  properties.delivery_mode = 2;
  properties.priority = 3;
  properties.correlation_id = amqp_text("c");
  properties.reply_to = amqp_text("r");
  properties.expiration = amqp_text("600000");
  properties.message_id = amqp_text("m");
  properties.timestamp = 1704067200;
  properties.type = amqp_text("t");
  properties.user_id = amqp_text(RabbitmqServer::kUser);
  properties.app_id = amqp_text("a");
  properties.cluster_id = amqp_text("k");
  TracedConnection amqp = connect_traced();
  const AmqpEnvelope envelope = published(amqp, &properties);
  ASSERT_TRUE(envelope);
  const amqp_basic_properties_t& arrived = envelope->message.properties;
  EXPECT_EQ(arrived._flags, properties._flags | AMQP_BASIC_HEADERS_FLAG);
  EXPECT_EQ(to_string(arrived.content_type), "text/plain");
  EXPECT_EQ(to_string(arrived.content_encoding), "identity");
  EXPECT_EQ(arrived.delivery_mode, 2);
  EXPECT_EQ(arrived.priority, 3);
  EXPECT_EQ(to_string(arrived.correlation_id), "c");
  EXPECT_EQ(to_string(arrived.reply_to), "r");
  EXPECT_EQ(to_string(arrived.expiration), "600000");
  EXPECT_EQ(to_string(arrived.message_id), "m");
  EXPECT_EQ(arrived.timestamp, 1704067200U);
  EXPECT_EQ(to_string(arrived.type), "t");
  EXPECT_EQ(to_string(arrived.user_id), RabbitmqServer::kUser);
  EXPECT_EQ(to_string(arrived.app_id), "a");
  EXPECT_EQ(to_string(arrived.cluster_id), "k");
}

// The header frame of a message with one header of so many bytes, as rabbitmq-c encodes it: class, weight,
// body size, flags, table.
std::size_t header_payload(std::size_t value) { return 2 + 2 + 8 + 2 + 4 + (1 + 1 + 1 + 4 + value); }

// Every size around the limit of a small frame, where a header frame that is too large would close the
// connection.
TEST_F(AmqpHeaders, AMessageThatFillsTheFrameGoesWithoutAContext) {
  constexpr std::size_t frame_max = 4096;
  constexpr std::size_t limit = frame_max - 8;
  constexpr std::size_t ours = 1 + 11 + 1 + 4 + traceparent_length;
  const auto plain = connect({.frame_max = frame_max});
  plain->declare_queue("orders");
  ASSERT_TRUE(plain->consume("orders"));
  for (const bool confirms : {false, true}) {
    start_recorder();
    TracedConnection amqp = connect_traced({}, {.frame_max = frame_max});
    if (confirms) {
      ASSERT_NE(amqp->confirm_select(1), nullptr);
    }
    std::size_t without = 0;
    for (std::size_t payload = limit - ours - 20; payload <= limit; ++payload) {
      const std::string value(payload - header_payload(0), 'v');
      ASSERT_EQ(header_payload(value.size()), payload);
      const Message message({text_entry("v", value)});
      ASSERT_EQ(amqp.publish("", "orders", "order", &message.properties), AMQP_STATUS_OK) << payload;
      std::string why;
      const AmqpEnvelope envelope = plain->next(&why);
      ASSERT_TRUE(envelope) << payload << ' ' << why;
      const HeaderList headers = headers_of(envelope);
      EXPECT_EQ(header(headers, "v"), value);
      const bool fits = payload + ours <= limit;
      if (!fits) ++without;
      EXPECT_EQ(header(headers, "traceparent").empty(), !fits) << payload;
      EXPECT_EQ(skipped(), without) << payload;
      if (confirms) {
        ASSERT_EQ(amqp->wait_for_confirms(1, nullptr).acked, 1U);
      }
      EXPECT_EQ(recorder_->spans().back().kind, fits ? SpanKind::producer : SpanKind::client) << payload;
    }
    EXPECT_EQ(without, ours);
  }
}

// Baggage and a tracestate are part of the context: all of it fits, or none goes.
TEST_F(AmqpHeaders, AContextGoesWholeOrNotAtAll) {
  constexpr std::size_t limit = 4096 - 8;
  const auto plain = connect({.frame_max = 4096});
  plain->declare_queue("orders");
  ASSERT_TRUE(plain->consume("orders"));
  TracedConnection amqp = connect_traced({}, {.frame_max = 4096});
  Context context;
  context.span = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  context.span.trace_state = TraceState::parse("vendor=1");
  context.baggage = Baggage().with("tenant", std::string(100, 'b'));
  const Scope scope(context);
  constexpr std::size_t ours = (1 + 11 + 5 + 55) + (1 + 10 + 5 + 8) + (1 + 7 + 5 + 107);
  for (const std::size_t payload : {limit - ours - 1, limit - ours, limit - ours + 1, limit - 73}) {
    const std::string value(payload - header_payload(0), 'v');
    const Message message({text_entry("v", value)});
    ASSERT_EQ(amqp.publish("", "orders", "order", &message.properties), AMQP_STATUS_OK) << payload;
    std::string why;
    const AmqpEnvelope envelope = plain->next(&why);
    ASSERT_TRUE(envelope) << why;
    EXPECT_EQ(headers_of(envelope).size(), payload + ours <= limit ? 4U : 1U) << payload;
  }
  EXPECT_EQ(skipped(), 2U);
}

// One that is in the message already makes way for the new one, which takes no more room.
TEST_F(AmqpHeaders, AReplacedContextNeedsNoRoom) {
  constexpr std::size_t limit = 4096 - 8;
  constexpr std::size_t ours = 1 + 11 + 1 + 4 + traceparent_length;
  const auto plain = connect({.frame_max = 4096});
  plain->declare_queue("orders");
  ASSERT_TRUE(plain->consume("orders"));
  TracedConnection amqp =
      connect_traced({.existing_context = amqp::ExistingContext::replace}, {.frame_max = 4096});
  const std::string value(limit - ours - header_payload(0), 'v');
  const std::string old = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const Message message({text_entry("v", value), text_entry("traceparent", old)});
  ASSERT_EQ(amqp.publish("", "orders", "order", &message.properties), AMQP_STATUS_OK);
  std::string why;
  const AmqpEnvelope envelope = plain->next(&why);
  ASSERT_TRUE(envelope) << why;
  EXPECT_EQ(header(headers_of(envelope), "traceparent"), traceparent(recorder_->spans().at(0).context));
  EXPECT_EQ(skipped(), 0U);
}

// What rabbitmq-c refuses or garbles is the application's to find out, in the same way as without tracing.
struct Refused {
  const char* name;
  std::vector<amqp_table_entry_t> entries;
};

TEST_F(AmqpHeaders, WhatRabbitmqCannotEncodeFailsAsItDoesWithoutTracing) {
  const std::string long_name(300, 'n');
  std::vector<amqp_table_entry_t> inner{entry_of("x", 'Z')};
  amqp_table_entry_t nested = entry_of("nested", AMQP_FIELD_KIND_TABLE);
  nested.value.value.table = table_of(inner);
  const std::vector<Refused> cases{
      {"an unknown kind", {text_entry("a", "b"), entry_of("z", 'Z')}},
      {"an unknown kind inside", {nested}},
      {"a name of 300 bytes", {text_entry(long_name, "v")}},
  };
  for (const Refused& refused : cases) {
    const Message message(refused.entries);
    const auto plain = connect();
    const int bare = amqp_basic_publish(plain->state(), 1, amqp_empty_bytes, amqp_text("orders"), 0, 0,
                                        &message.properties, amqp_text("order"));
    for (const bool confirms : {false, true}) {
      start_recorder();
      TracedConnection amqp = connect_traced();
      if (confirms) {
        ASSERT_NE(amqp->confirm_select(1), nullptr);
      }
      EXPECT_EQ(amqp.publish("", "orders", "order", &message.properties), bare) << refused.name;
      EXPECT_EQ(skipped(), 1U) << refused.name;
      if (bare == AMQP_STATUS_OK) continue;  // the broker will not like it
      ASSERT_EQ(recorder_->spans().size(), 1U) << refused.name;
      EXPECT_TRUE(recorder_->spans()[0].attribute("error.type").starts_with("AMQP_STATUS_")) << refused.name;
      EXPECT_EQ(recorder_->spans()[0].kind, SpanKind::client) << refused.name;
    }
  }
}

TEST_F(AmqpHeaders, RoutesThatAreTooLongFailAsTheyDoWithoutTracing) {
  const std::string long_text(300, 'r');
  const auto plain = connect();
  const int bare = amqp_basic_publish(plain->state(), 1, amqp_empty_bytes, amqp_text(long_text), 0, 0,
                                      nullptr, amqp_text("order"));
  TracedConnection amqp = connect_traced();
  EXPECT_EQ(amqp.publish("", long_text), bare);
}

TEST_F(AmqpHeaders, ThousandsOfHeadersAndABodyOfManyFrames) {
  std::vector<std::string> names;
  for (int i = 0; i < 3000; ++i)
    names.push_back("header-" + std::to_string(i));
  std::vector<amqp_table_entry_t> entries;
  for (const std::string& name : names)
    entries.push_back(text_entry(name, "value"));
  const Message message(entries);
  const std::string body(1000000, 'b');
  const auto plain = connect();
  plain->declare_queue("orders");
  ASSERT_TRUE(plain->consume("orders"));
  TracedConnection amqp = connect_traced();
  ASSERT_EQ(amqp.publish("", "orders", body, &message.properties), AMQP_STATUS_OK);
  std::string why;
  const AmqpEnvelope envelope = plain->next(&why);
  ASSERT_TRUE(envelope) << why;
  EXPECT_EQ(to_string(envelope->message.body), body);
  EXPECT_EQ(headers_of(envelope).size(), 3001U);
  EXPECT_EQ(headers_of(envelope).back().first, "traceparent");
}

}  // namespace
}  // namespace midtrace::test

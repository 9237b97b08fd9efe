// What traced calls allocate, against the same calls of rabbitmq-c with one header added by hand. malloc
// itself is counted, on this thread, because rabbitmq-c's and ours must be compared by the same measure. The
// wire is in memory.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/allocations.h"

#include <midtrace/amqp.h>
#include <midtrace/propagation/propagator.h>
#include <midtrace/testing/testing.h>

#if MIDTRACE_TEST_OWN_HEAP

#include "support/amqp_wire.h"

namespace midtrace {
namespace {

constexpr amqp_channel_t channel = 1;
constexpr std::string_view unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
constexpr std::string_view sampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr std::string_view body = "order";

amqp_bytes_t view(std::string_view text) { return {text.size(), const_cast<char*>(text.data())}; }

amqp_table_entry_t text_entry(std::string_view name, std::string_view value) {
  amqp_table_entry_t entry{};
  entry.key = view(name);
  entry.value.kind = AMQP_FIELD_KIND_UTF8;
  entry.value.value.bytes = view(value);
  return entry;
}

// The properties of a message with these headers, which live here.
class Properties {
 public:
  explicit Properties(std::vector<amqp_table_entry_t> headers) : headers_(std::move(headers)) {
    properties_._flags = AMQP_BASIC_CONTENT_TYPE_FLAG;
    properties_.content_type = view("application/json");
    if (headers_.empty()) return;
    properties_._flags |= AMQP_BASIC_HEADERS_FLAG;
    properties_.headers = {static_cast<int>(headers_.size()), headers_.data()};
  }
  const amqp_basic_properties_t& get() const { return properties_; }

 private:
  std::vector<amqp_table_entry_t> headers_;
  amqp_basic_properties_t properties_{};
};

// A connection on its wire, with channel 1 in confirm mode when asked. Traced when it has options.
class Client {
 public:
  explicit Client(std::optional<amqp::Options> options, bool confirms = false)
      : state_(amqp_new_connection()) {
    if (options.has_value()) traced_.emplace(state_, std::move(*options));
    EXPECT_TRUE(wire_.carry(state_));
    wire_.put_login();
    const amqp_channel_open_ok_t opened{};
    wire_.put_method(channel, AMQP_CHANNEL_OPEN_OK_METHOD, &opened);
    const amqp_confirm_select_ok_t selected{};
    if (confirms) wire_.put_method(channel, AMQP_CONFIRM_SELECT_OK_METHOD, &selected);
    if (traced_) {
      EXPECT_EQ(traced_->login("/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest").reply_type,
                AMQP_RESPONSE_NORMAL);
      EXPECT_NE(traced_->channel_open(channel), nullptr);
      if (confirms) {
        EXPECT_NE(traced_->confirm_select(channel), nullptr);
      }
      return;
    }
    EXPECT_EQ(amqp_login(state_, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest").reply_type,
              AMQP_RESPONSE_NORMAL);
    EXPECT_NE(amqp_channel_open(state_, channel), nullptr);
    if (confirms) {
      EXPECT_NE(amqp_confirm_select(state_, channel), nullptr);
    }
  }
  ~Client() {
    traced_.reset();
    amqp_destroy_connection(state_);
  }

  void publish(const amqp_basic_properties_t& properties) {
    const amqp_bytes_t exchange = view("shop");
    const amqp_bytes_t key = view("orders");
    const int status =
        traced_ ? traced_->basic_publish(channel, exchange, key, 0, 0, &properties, view(body))
                : amqp_basic_publish(state_, channel, exchange, key, 0, 0, &properties, view(body));
    if (status != AMQP_STATUS_OK) ADD_FAILURE() << amqp_error_string2(status);
  }
  // The broker's answer to the oldest publish without one. Not part of what is counted.
  void put_confirm() { wire_.put_confirm(channel, ++confirmed_, false); }
  void read_confirm() {
    amqp_frame_t frame;
    struct timeval soon {
      10, 0
    };
    const int status = traced_ ? traced_->simple_wait_frame_noblock(&frame, &soon)
                               : amqp_simple_wait_frame_noblock(state_, &frame, &soon);
    if (status != AMQP_STATUS_OK) ADD_FAILURE() << amqp_error_string2(status);
    release();
  }
  void put_delivery(const amqp_basic_properties_t& properties) {
    wire_.put_delivery(channel, "consumer", ++delivered_, "shop", "orders", properties, body);
  }
  void consume() {
    amqp_envelope_t envelope;
    receive(envelope);
    if (traced_) {
      auto processing = amqp::process(*traced_, envelope);
      traced_->basic_ack(channel, envelope.delivery_tag, 0);
    } else {
      amqp_basic_ack(state_, channel, envelope.delivery_tag, 0);
    }
    amqp_destroy_envelope(&envelope);
    release();
  }
  void consume_batch() {
    for (amqp_envelope_t& envelope : batch_)
      receive(envelope);
    const std::uint64_t last = batch_.back().delivery_tag;
    if (traced_) {
      auto processing = amqp::process(*traced_, std::span<const amqp_envelope_t>(batch_));
      traced_->basic_ack(channel, last, 1);
    } else {
      amqp_basic_ack(state_, channel, last, 1);
    }
    for (amqp_envelope_t& envelope : batch_)
      amqp_destroy_envelope(&envelope);
    release();
  }

  static constexpr std::size_t batch_size = 20;

 private:
  void receive(amqp_envelope_t& envelope) {
    struct timeval soon {
      10, 0
    };
    const amqp_rpc_reply_t reply = traced_ ? traced_->consume_message(&envelope, &soon, 0)
                                           : amqp_consume_message(state_, &envelope, &soon, 0);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) ADD_FAILURE() << "no delivery";
  }
  void release() {
    if (traced_) {
      traced_->maybe_release_buffers();
    } else {
      amqp_maybe_release_buffers(state_);
    }
  }

  test::AmqpWire wire_;
  amqp_connection_state_t state_;
  std::optional<amqp::Connection> traced_;
  std::array<amqp_envelope_t, batch_size> batch_{};
  std::uint64_t confirmed_ = 0;
  std::uint64_t delivered_ = 0;
};

// Allocations of one call in the steady state; the most of any of them. What is recorded is taken away now
// and then.
std::uint64_t most_allocations(testing::Recorder& recorder, const std::function<void()>& prepare,
                               const std::function<void()>& call) {
  std::uint64_t most = 0;
  for (int i = 0; i < 3000; ++i) {
    prepare();
    if (i % 100 == 0) recorder.telemetry().flush(std::chrono::seconds(60));
    const std::uint64_t before = test::allocations_of_this_thread();
    call();
    const std::uint64_t made = test::allocations_of_this_thread() - before;
    if (i >= 2000) most = std::max(most, made);
  }
  return most;
}

std::uint64_t publish_allocations(testing::Recorder& recorder, Client& client, const Properties& properties,
                                  bool confirms) {
  return most_allocations(
      recorder,
      [&] {
        if (confirms) client.put_confirm();
      },
      [&] {
        client.publish(properties.get());
        if (confirms) client.read_confirm();
      });
}

std::uint64_t consume_allocations(testing::Recorder& recorder, Client& client, const Properties& properties) {
  return most_allocations(
      recorder, [&] { client.put_delivery(properties.get()); }, [&] { client.consume(); });
}

std::uint64_t batch_allocations(testing::Recorder& recorder, Client& client, const Properties& properties) {
  return most_allocations(
      recorder,
      [&] {
        for (std::size_t i = 0; i < Client::batch_size; ++i)
          client.put_delivery(properties.get());
      },
      [&] { client.consume_batch(); });
}

Context parent(std::string_view traceparent) {
  Context context;
  context.span = parse_traceparent(traceparent);
  return context;
}

const std::vector<amqp_table_entry_t> no_headers;
const std::vector<amqp_table_entry_t> callers_headers{text_entry("tenant", "blue"),
                                                      text_entry("x-priority", "high")};

std::vector<amqp_table_entry_t> with_context(std::vector<amqp_table_entry_t> headers,
                                             std::string_view traceparent = unsampled) {
  headers.push_back(text_entry("traceparent", traceparent));
  return headers;
}

// As an application samples: children as their parents, roots always.
testing::RecorderOptions sampling_as_usual() { return {.sampler = parent_based_sampler({})}; }

TEST(AmqpAllocations, TheCountCounts) {
  testing::Recorder recorder(sampling_as_usual());
  Client bare(std::nullopt);
  EXPECT_GT(consume_allocations(recorder, bare, Properties(no_headers)), 0U) << "rabbitmq-c copies the body";
}

TEST(AmqpAllocations, AnUnsampledPublishAllocatesNothingOfItsOwn) {
  testing::Recorder recorder(sampling_as_usual());
  const Scope scope(parent(unsampled));
  for (const bool confirms : {false, true}) {
    for (const auto& headers : {no_headers, callers_headers}) {
      SCOPED_TRACE(std::to_string(headers.size()) + " headers" + (confirms ? ", with confirms" : ""));
      Client bare(std::nullopt, confirms);
      Client traced(amqp::Options(), confirms);
      EXPECT_EQ(publish_allocations(recorder, traced, Properties(headers), confirms),
                publish_allocations(recorder, bare, Properties(with_context(headers)), confirms));
    }
  }
}

// The context of a message that is forwarded makes way, which needs no new table.
TEST(AmqpAllocations, AForwardedMessageAllocatesNothingMore) {
  testing::Recorder recorder(sampling_as_usual());
  const Scope scope(parent(unsampled));
  Client bare(std::nullopt);
  Client traced(amqp::Options{.existing_context = amqp::ExistingContext::replace});
  const Properties properties(with_context(callers_headers));
  EXPECT_EQ(publish_allocations(recorder, traced, properties, false),
            publish_allocations(recorder, bare, properties, false));
}

TEST(AmqpAllocations, AnUnsampledDeliveryAllocatesNothingOfItsOwn) {
  testing::Recorder recorder(sampling_as_usual());
  for (const auto& headers : {no_headers, callers_headers}) {
    SCOPED_TRACE(std::to_string(headers.size()) + " headers");
    const Properties properties(with_context(headers));
    Client bare(std::nullopt);
    Client traced{amqp::Options()};
    EXPECT_EQ(consume_allocations(recorder, traced, properties),
              consume_allocations(recorder, bare, properties));
  }
  EXPECT_EQ(recorder.counters()[Counter::spans_sampled], 0U);
  EXPECT_GT(recorder.counters()[Counter::spans_started], 0U);
}

TEST(AmqpAllocations, ConnectionsThatOnlyPropagateAllocateNothingOfTheirOwn) {
  testing::Recorder recorder(sampling_as_usual());
  const Properties properties(with_context(no_headers, sampled));
  Client bare(std::nullopt);
  Client traced(amqp::Options{.mode = ModuleMode::propagate});
  EXPECT_EQ(consume_allocations(recorder, traced, properties),
            consume_allocations(recorder, bare, properties));
  const Scope scope(parent(sampled));
  EXPECT_EQ(publish_allocations(recorder, traced, Properties(no_headers), false),
            publish_allocations(recorder, bare, properties, false));
  EXPECT_EQ(recorder.counters()[Counter::spans_started], 0U);
}

// What a sampled message may allocate: the Work that its process span lives in, and nothing for its publish.
TEST(AmqpAllocations, ASampledMessageAllocatesOnce) {
  testing::Recorder recorder(sampling_as_usual());
  const Scope scope(parent(sampled));
  for (const bool confirms : {false, true}) {
    SCOPED_TRACE(confirms ? "with confirms" : "without confirms");
    Client bare(std::nullopt, confirms);
    Client traced(amqp::Options(), confirms);
    EXPECT_EQ(publish_allocations(recorder, traced, Properties(no_headers), confirms),
              publish_allocations(recorder, bare, Properties(with_context(no_headers, sampled)), confirms));
  }
  const Properties properties(with_context(no_headers, sampled));
  Client bare(std::nullopt);
  Client traced{amqp::Options()};
  EXPECT_LE(consume_allocations(recorder, traced, properties),
            consume_allocations(recorder, bare, properties) + 1);
  EXPECT_GT(recorder.counters()[Counter::spans_sampled], 0U);
}

// Some vectors for the whole batch, however large.
TEST(AmqpAllocations, ABatchAllocatesAFewTimesForAllItsMessages) {
  testing::Recorder recorder(sampling_as_usual());
  for (const std::string_view header : {unsampled, sampled}) {
    SCOPED_TRACE(header);
    const Properties properties(with_context(no_headers, header));
    Client bare(std::nullopt);
    Client traced{amqp::Options()};
    EXPECT_LE(batch_allocations(recorder, traced, properties),
              batch_allocations(recorder, bare, properties) + 12);
  }
}

}  // namespace
}  // namespace midtrace

#endif

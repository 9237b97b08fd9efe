// What the live tests of the receiving side of midtrace::amqp share: a publisher of its own, so that each
// message is the only thing in its trace, and the spans by their operation.
#ifndef MIDTRACE_TESTS_LIVE_AMQP_CONSUMER_FIXTURE_H_
#define MIDTRACE_TESTS_LIVE_AMQP_CONSUMER_FIXTURE_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "live/amqp_traced_fixture.h"

namespace midtrace::test {

// Text entries for a table of arguments or headers. What they name must live as long as it is used.
class AmqpTable {
 public:
  AmqpTable() = default;
  AmqpTable& text(const char* name, std::string_view value) {
    amqp_table_entry_t entry{};
    entry.key = amqp_cstring_bytes(name);
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = amqp_text(value);
    entries_.push_back(entry);
    return *this;
  }
  AmqpTable& number(const char* name, std::int32_t value) {
    amqp_table_entry_t entry{};
    entry.key = amqp_cstring_bytes(name);
    entry.value.kind = AMQP_FIELD_KIND_I32;
    entry.value.value.i32 = value;
    entries_.push_back(entry);
    return *this;
  }
  amqp_table_t get() { return {static_cast<int>(entries_.size()), entries_.data()}; }

 private:
  std::vector<amqp_table_entry_t> entries_;
};

// Deliveries side by side, as process() takes a batch.
class AmqpEnvelopes {
 public:
  AmqpEnvelopes() = default;
  AmqpEnvelopes(const AmqpEnvelopes&) = delete;
  AmqpEnvelopes& operator=(const AmqpEnvelopes&) = delete;
  ~AmqpEnvelopes() {
    for (amqp_envelope_t& envelope : envelopes_)
      amqp_destroy_envelope(&envelope);
  }
  void add(AmqpEnvelope envelope) {
    if (envelope == nullptr) return;
    envelopes_.push_back(*envelope);
    *envelope = amqp_envelope_t{};
  }
  std::span<const amqp_envelope_t> all() const { return envelopes_; }
  std::size_t size() const { return envelopes_.size(); }
  const amqp_envelope_t& operator[](std::size_t index) const { return envelopes_[index]; }

 private:
  std::vector<amqp_envelope_t> envelopes_;
};

class AmqpConsumerTest : public AmqpTraced {
 protected:
  void TearDown() override {
    publisher_.reset();
    AmqpTraced::TearDown();
  }

  TracedConnection& publisher() {
    if (!publisher_.has_value()) {
      publisher_.emplace(connect_traced());
      EXPECT_NE((*publisher_)->confirm_select(1), nullptr);
    }
    return *publisher_;
  }

  // Is in its queue when this returns.
  void send(std::string_view exchange, std::string_view routing_key, std::string_view body = "order",
            const amqp_basic_properties_t* properties = nullptr) {
    EXPECT_EQ(publisher().publish(exchange, routing_key, body, properties), AMQP_STATUS_OK);
    const timeval limit{60, 0};
    const amqp::Confirms confirms = publisher()->wait_for_confirms(1, &limit);
    EXPECT_EQ(confirms.status, AMQP_STATUS_OK);
    EXPECT_EQ(confirms.acked, 1U);
  }
  void send_many(std::string_view routing_key, std::size_t count,
                 const amqp_basic_properties_t* properties = nullptr) {
    for (std::size_t sent = 0; sent < count; ++sent)
      EXPECT_EQ(publisher().publish("", routing_key, std::to_string(sent), properties), AMQP_STATUS_OK);
    const timeval limit{60, 0};
    EXPECT_EQ(publisher()->wait_for_confirms(1, &limit).acked, count);
  }

  // A connection that consumes from a new queue of this name.
  TracedConnection consumer_of(std::string_view queue, amqp::Options options = {}, bool no_ack = false) {
    TracedConnection connection = connect_traced(std::move(options));
    EXPECT_EQ(connection.declare_queue(queue), queue) << connection.last_reply();
    EXPECT_TRUE(connection.consume(queue, no_ack)) << connection.last_reply();
    return connection;
  }

  static void take(TracedConnection& from, std::size_t count, AmqpEnvelopes& into) {
    for (std::size_t taken = 0; taken < count; ++taken)
      into.add(from.next());
  }

  // How many messages wait in the queue, as the broker counts them: those that are not with a consumer.
  static std::uint32_t ready_in(TracedConnection& connection, std::string_view queue) {
    const amqp_queue_declare_ok_t* ok =
        amqp_queue_declare(connection->get(), 1, amqp_text(queue), 1, 0, 0, 0, amqp_empty_table);
    EXPECT_NE(ok, nullptr) << connection.last_reply();
    return ok != nullptr ? ok->message_count : 0;
  }

  // The spans of one operation, in the order of their end.
  std::vector<testing::OwnedSpan> all_of(std::string_view operation) {
    std::vector<testing::OwnedSpan> found = recorder_->spans();
    std::erase_if(found, [operation](const testing::OwnedSpan& span) {
      return span.attribute("messaging.operation.name") != operation;
    });
    return found;
  }
  testing::OwnedSpan only(std::string_view operation) {
    std::vector<testing::OwnedSpan> found = all_of(operation);
    EXPECT_EQ(found.size(), 1U) << operation << " in" << brief();
    return found.empty() ? testing::OwnedSpan{} : std::move(found.front());
  }
  std::string ended_by() { return only("process").attribute("midtrace.process.ended_by"); }

  bool becomes_true(const std::function<bool()>& condition,
                    std::chrono::seconds limit = std::chrono::seconds(60)) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }

  std::optional<TracedConnection> publisher_;
};

}  // namespace midtrace::test

#endif  // MIDTRACE_TESTS_LIVE_AMQP_CONSUMER_FIXTURE_H_

// Many threads and several connections at once. Made for the sanitizers, which see what the counts do not:
// races between the connection's thread and those that process its deliveries, and spans that outlive it.

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "live/amqp_traced_fixture.h"

namespace midtrace::test {
namespace {

// Between the connection's thread and its workers.
template <class Item>
class Handover {
 public:
  void put(Item item) {
    {
      const std::lock_guard guard(mutex_);
      items_.push_back(std::move(item));
    }
    changed_.notify_one();
  }
  void close() {
    {
      const std::lock_guard guard(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
  }
  // Nothing once it is closed and empty.
  std::optional<Item> wait() {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [this] { return closed_ || !items_.empty(); });
    return take();
  }
  std::optional<Item> poll() {
    const std::lock_guard guard(mutex_);
    return take();
  }

 private:
  std::optional<Item> take() {
    if (items_.empty()) return std::nullopt;
    std::optional<Item> first(std::move(items_.front()));
    items_.pop_front();
    return first;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> items_;
  bool closed_ = false;
};

class AmqpStress : public AmqpTraced {
 protected:
  static constexpr int messages = 600;  // for each connection
  static constexpr int in_flight = 40;

  // Real time, because time limits are part of it.
  void SetUp() override {
    AmqpTraced::SetUp();
    if (server_ != nullptr)
      start_recorder({.batch = {.queue_size = 65536}, .real_clock = true, .random_ids = true});
  }

  struct Pipeline {
    amqp::Options options = {};
    int workers = 3;
    // On a worker's thread. Whether the delivery is to be acknowledged; else it is rejected.
    std::function<bool(const amqp::Connection&, const amqp_envelope_t&)> work;
    bool multiple = false;  // acks of several at a time
  };

  // Publishes all messages of one connection and consumes them, while workers process them and hand them back
  // to be settled. Returns when all are settled; the workers are done.
  void run(TracedConnection& amqp, const std::string& queue, const Pipeline& pipeline) {
    ASSERT_EQ(amqp.declare_queue(queue), queue) << amqp.last_reply();
    ASSERT_NE(amqp->confirm_select(1), nullptr);
    ASSERT_NE(amqp->basic_qos(1, 0, in_flight, 0), nullptr);
    ASSERT_TRUE(amqp.consume(queue));

    struct Done {
      AmqpEnvelope envelope;
      bool good;
    };
    Handover<AmqpEnvelope> received;
    Handover<Done> done;
    // However this ends.
    struct Workers {
      Handover<AmqpEnvelope>& received;
      std::vector<std::thread> threads = {};
      void join() {
        received.close();
        for (std::thread& thread : threads)
          thread.join();
        threads.clear();
      }
      ~Workers() { join(); }
    } workers{received};
    for (int i = 0; i < pipeline.workers; ++i) {
      workers.threads.emplace_back([&] {
        while (std::optional<AmqpEnvelope> envelope = received.wait()) {
          const bool good = pipeline.work(*amqp, **envelope);
          done.put({std::move(*envelope), good});
        }
      });
    }
    int published = 0;
    int settled = 0;
    // Finished ones that a multiple ack may not pass yet.
    std::map<std::uint64_t, AmqpEnvelope> finished;
    std::uint64_t next_tag = 1;
    while (settled < messages && !HasFatalFailure()) {
      for (int burst = 0; burst < 5 && published < messages; ++burst, ++published)
        ASSERT_EQ(amqp.publish("", queue), AMQP_STATUS_OK);
      timeval limit{0, 2000};
      const Confirms_ confirms{amqp->wait_for_confirms(1, &limit)};
      ASSERT_TRUE(confirms.fine()) << amqp_error_string2(confirms.status);
      receive_some(amqp, received);
      while (std::optional<Done> one = done.poll()) {
        const std::uint64_t tag = one->envelope->delivery_tag;
        if (!one->good) {
          ASSERT_EQ(amqp->basic_reject(1, tag, 0), AMQP_STATUS_OK);
          ++settled;
        } else if (!pipeline.multiple) {
          ASSERT_EQ(amqp->basic_ack(1, tag, 0), AMQP_STATUS_OK);
          ++settled;
        } else {
          finished[tag] = std::move(one->envelope);
        }
      }
      const std::uint64_t before = next_tag;
      while (finished.contains(next_tag))
        finished.erase(next_tag++);
      if (next_tag != before) {
        ASSERT_EQ(amqp->basic_ack(1, next_tag - 1, 1), AMQP_STATUS_OK);
        settled += static_cast<int>(next_tag - before);
      }
    }
    workers.join();
    timeval limit{60, 0};
    EXPECT_EQ(amqp->wait_for_confirms(1, &limit).status, AMQP_STATUS_OK);
    EXPECT_EQ(amqp->unconfirmed(1), 0U);
  }

  int spans_named(std::string_view prefix) {
    int count = 0;
    for (const testing::OwnedSpan& span : recorder_->spans())
      count += span.name.starts_with(prefix) ? 1 : 0;
    return count;
  }

  static void on_threads(int count, const std::function<void(int)>& run) {
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i)
      threads.emplace_back(run, i);
    for (std::thread& thread : threads)
      thread.join();
  }

 private:
  struct Confirms_ : amqp::Confirms {
    bool fine() const { return status == AMQP_STATUS_OK || status == AMQP_STATUS_TIMEOUT; }
  };

  // What is there, without waiting long.
  static void receive_some(TracedConnection& amqp, Handover<AmqpEnvelope>& received) {
    for (;;) {
      amqp->maybe_release_buffers();
      timeval limit{0, 1000};
      AmqpEnvelope envelope(new amqp_envelope_t{});
      const amqp_rpc_reply_t reply = amqp->consume_message(envelope.get(), &limit, 0);
      if (reply.reply_type == AMQP_RESPONSE_NORMAL) {
        received.put(std::move(envelope));
        continue;
      }
      *envelope = amqp_envelope_t{};
      ASSERT_EQ(reply.reply_type, AMQP_RESPONSE_LIBRARY_EXCEPTION) << to_string(reply);
      // A confirm comes first: wait_for_confirms() reads it.
      ASSERT_TRUE(reply.library_error == AMQP_STATUS_TIMEOUT ||
                  reply.library_error == AMQP_STATUS_UNEXPECTED_STATE)
          << to_string(reply);
      return;
    }
  }
};

TEST_F(AmqpStress, SeveralConnectionsInSeveralThreads) {
  constexpr int connections = 3;
  on_threads(connections, [this](int number) {
    TracedConnection amqp = connect_traced();
    run(amqp, "orders-" + std::to_string(number),
        {.work = [](const amqp::Connection& connection, const amqp_envelope_t& envelope) {
          auto processing = amqp::process(connection, envelope);
          Span work = start_span("work");
          processing.span().set("app.tag", static_cast<std::int64_t>(envelope.delivery_tag));
          return true;
        }});
  });
  EXPECT_EQ(spans_named("publish"), connections * messages);
  EXPECT_EQ(spans_named("receive"), connections * messages);
  EXPECT_EQ(spans_named("process"), connections * messages);
  EXPECT_EQ(spans_named("ack"), connections * messages);
  EXPECT_EQ(spans_named("work"), connections * messages);
  EXPECT_EQ(recorder_->counters().dropped_spans(), 0U);
  EXPECT_EQ(recorder_->counters()[Counter::operations_lost], 0U);
}

// The scope on the worker and the settlement on the connection's thread, whichever comes last, ends the span.
TEST_F(AmqpStress, SettlementsRaceWithTheEndsOfDetachedWork) {
  Handover<amqp::ProcessSpan> left;
  std::thread finisher([&left] {
    while (std::optional<amqp::ProcessSpan> span = left.wait()) {
      {
        const amqp::ProcessActivation activation = span->activate();
        const Span late = start_span("late");
      }
      span->span().set("app.late", true);
      span->end();
    }
  });
  for (const bool multiple : {false, true}) {
    TracedConnection amqp = connect_traced();
    run(amqp, multiple ? "orders" : "refunds",
        {.work =
             [&left, multiple](const amqp::Connection& connection, const amqp_envelope_t& envelope) {
               auto processing = amqp::process(connection, envelope);
               if (envelope.delivery_tag % 3 == 0) processing.set_error("app_error", "it went wrong");
               left.put(processing.detach());
               return multiple || envelope.delivery_tag % 5 != 0;
             },
         .multiple = multiple});
  }
  left.close();
  finisher.join();
  EXPECT_EQ(spans_named("process"), 2 * messages);
  EXPECT_EQ(spans_named("late"), 2 * messages);
  EXPECT_EQ(spans_named("reject"), messages / 5);
  EXPECT_EQ(recorder_->counters()[Counter::operations_timed_out], 0U);
  EXPECT_EQ(recorder_->counters().dropped_spans(), 0U);
}

// The limit is about as long as a delivery takes, so it takes some spans while they are settled or used.
TEST_F(AmqpStress, TheTimeLimitRacesWithSettlements) {
  Handover<amqp::ProcessSpan> left;
  std::thread finisher([&left] {
    while (std::optional<amqp::ProcessSpan> span = left.wait())
      span->set_error("app_error", "late");
  });
  {
    TracedConnection amqp = connect_traced({.settle_timeout = std::chrono::milliseconds(1)});
    run(amqp, "orders",
        {.work = [&left](const amqp::Connection& connection, const amqp_envelope_t& envelope) {
          auto processing = amqp::process(connection, envelope);
          if (envelope.delivery_tag % 2 == 0) left.put(processing.detach());
          return true;
        }});
  }
  left.close();
  finisher.join();
  EXPECT_EQ(spans_named("process"), messages) << "each ends once";
  int timed_out = 0;
  for (const testing::OwnedSpan& span : recorder_->spans())
    timed_out += span.attribute("midtrace.process.ended_by") == "timeout" ? 1 : 0;
  EXPECT_EQ(static_cast<std::uint64_t>(timed_out), recorder_->counters()[Counter::operations_timed_out]);
  EXPECT_EQ(recorder_->counters().dropped_spans(), 0U);
}

// Batches of one connection are processed on two threads, while a third asks about deliveries that may be
// settled already.
TEST_F(AmqpStress, BatchesAreProcessedWhileOthersAreSettled) {
  std::atomic<int> processed{0};
  {
    TracedConnection amqp = connect_traced();
    run(amqp, "orders",
        {.work =
             [&processed](const amqp::Connection& connection, const amqp_envelope_t& envelope) {
               const std::array<amqp_envelope_t, 2> both{envelope, envelope};
               {
                 auto processing = amqp::process(connection, std::span<const amqp_envelope_t>(both));
                 ++processed;
               }
               // A second time, by its parts, and one that nobody knows.
               { auto again = amqp::process(connection, 1, envelope.delivery_tag, envelope.message); }
               { auto unknown = amqp::process(connection, 7, 1, envelope.message); }
               return true;
             },
         .multiple = true});
  }
  EXPECT_EQ(processed.load(), messages);
  EXPECT_EQ(spans_named("process"), 3 * messages);
  EXPECT_EQ(recorder_->counters().dropped_spans(), 0U);
}

// Its ProcessSpans live on in other threads, and end there.
TEST_F(AmqpStress, AConnectionIsDestroyedWhileItsWorkGoesOn) {
  constexpr int rounds = 20;
  constexpr int deliveries = 30;
  for (int round = 0; round < rounds; ++round) {
    Handover<amqp::ProcessSpan> left;
    std::array<std::thread, 3> finishers;
    for (std::thread& finisher : finishers) {
      finisher = std::thread([&left] {
        while (std::optional<amqp::ProcessSpan> span = left.wait()) {
          const amqp::ProcessActivation activation = span->activate();
          const Span late = start_span("late");
        }
      });
    }
    {
      TracedConnection amqp = connect_traced();
      ASSERT_EQ(amqp.declare_queue("orders-" + std::to_string(round)), "orders-" + std::to_string(round));
      ASSERT_TRUE(amqp.consume("orders-" + std::to_string(round)));
      for (int i = 0; i < deliveries; ++i)
        ASSERT_EQ(amqp.publish("", "orders-" + std::to_string(round)), AMQP_STATUS_OK);
      for (int i = 0; i < deliveries; ++i) {
        const AmqpEnvelope envelope = amqp.next();
        ASSERT_TRUE(envelope);
        left.put(amqp::process(*amqp, *envelope).detach());
      }
      if (round % 2 == 0) {
        EXPECT_EQ(to_string(amqp->connection_close(AMQP_REPLY_SUCCESS)), "normal");
      }
    }
    left.close();
    for (std::thread& finisher : finishers)
      finisher.join();
  }
  EXPECT_EQ(spans_named("process"), rounds * deliveries);
  for (const testing::OwnedSpan& span : recorder_->spans()) {
    if (!span.name.starts_with("process")) continue;
    EXPECT_EQ(span.attribute("midtrace.process.ended_by"), "connection_closed");
    EXPECT_EQ(span.attribute("error.type"), "connection_closed");
  }
  EXPECT_EQ(recorder_->counters().dropped_spans(), 0U);
}

}  // namespace
}  // namespace midtrace::test

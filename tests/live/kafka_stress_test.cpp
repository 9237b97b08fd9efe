// Many threads on one producer: a full queue, and delivery reports that come while others send. Made for the
// sanitizers, which see what the counts do not: headers freed twice or never, and races.

#include <array>
#include <atomic>
#include <thread>

#include "live/kafka_fixture.h"

namespace midtrace::test {
namespace {

class KafkaStress : public KafkaFixture {
 protected:
  static constexpr int threads = 4;
  static constexpr int each = 1000;  // messages per thread

  void SetUp() override { start_recorder({.batch = {.queue_size = 65536}}); }

  // Runs `send(thread, number)` for all messages, on all threads, while one more thread serves the reports.
  template <class Send>
  void send_from_all(rd_kafka_t* producer, Send send) {
    std::atomic<bool> sending{true};
    std::thread poller([&] {
      while (sending)
        rd_kafka_poll(producer, 1);
    });
    std::array<std::thread, threads> senders;
    for (int thread = 0; thread < threads; ++thread) {
      senders[static_cast<std::size_t>(thread)] = std::thread([&send, thread] {
        for (int number = 0; number < each; ++number)
          send(thread, number);
      });
    }
    for (std::thread& sender : senders)
      sender.join();
    sending = false;
    poller.join();
    EXPECT_EQ(rd_kafka_flush(producer, 30000), RD_KAFKA_RESP_ERR_NO_ERROR);
  }

  struct Sends {
    int delivered = 0;
    int refused = 0;
    int others = 0;
  };
  Sends count_sends() {
    Sends sends;
    for (const testing::OwnedSpan& span : recorder_->spans()) {
      if (span.kind == SpanKind::producer && span.status == StatusCode::unset) {
        ++sends.delivered;
      } else if (span.kind == SpanKind::client && span.attribute("error.type") == "_QUEUE_FULL") {
        ++sends.refused;
      } else {
        ++sends.others;
      }
    }
    return sends;
  }
};

// What is refused has its headers back, which the application destroys; what is accepted has not.
TEST_F(KafkaStress, AFullQueueRefusesSomeOfManyThreadsMessages) {
  std::atomic<int> accepted{0};
  std::atomic<int> refused{0};
  {
    const Client client = make_producer({}, {{"queue.buffering.max.messages", "50"}, {"linger.ms", "20"}});
    const kafka::Producer producer(client.get());
    send_from_all(client.get(), [&](int thread, int number) {
      const bool with_headers = number % 2 == 0;
      rd_kafka_headers_t* headers =
          with_headers
              ? make_headers({{"tenant", "blue"}, {"tracestate", "vendor=" + std::to_string(thread)}})
              : nullptr;
      const rd_kafka_resp_err_t error = producer.producev(
          RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
          RD_KAFKA_V_VALUE(const_cast<char*>("order"), 5), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        ++accepted;
        return;
      }
      EXPECT_EQ(error, RD_KAFKA_RESP_ERR__QUEUE_FULL);
      ++refused;
      if (headers == nullptr) return;
      EXPECT_EQ(list_headers(headers).size(), 2U);
      rd_kafka_headers_destroy(headers);
    });
  }
  const Sends sends = count_sends();
  EXPECT_GT(refused.load(), 0) << "the queue was never full";
  EXPECT_EQ(sends.delivered, accepted.load());
  EXPECT_EQ(sends.refused, refused.load());
  EXPECT_EQ(sends.others, 0);
  EXPECT_EQ(recorder_->counters().dropped_spans(), 0U);
}

// Hooks, own contexts, tombstones and keys: all that touches a span on the sender's thread and again on the
// thread of the report.
TEST_F(KafkaStress, FourThreadsSendWhileAnotherServesTheReports) {
  static std::atomic<int> reported{0};
  static std::atomic<int> finished{0};
  reported = 0;
  finished = 0;
  {
    rd_kafka_conf_t* conf = configuration({{"client.id", "checkout"}});
    rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void*) {
      EXPECT_EQ(message->err, RD_KAFKA_RESP_ERR_NO_ERROR);
      ++reported;
    });
    EXPECT_TRUE(kafka::instrument(
        conf, {.on_finish = [](Span& span, const kafka::Call&) { span.set("app.finished", ++finished); }}));
    const Client client = create(RD_KAFKA_PRODUCER, conf);
    send_from_all(client.get(), [&](int thread, int number) {
      const Span order = start_span("order");
      const Scope scope = order.activate();
      const std::string key = std::to_string(thread) + "/" + std::to_string(number);
      Sent sent{.value = number % 5 == 0 ? nullptr : "order", .key = key.c_str()};
      if (number % 3 == 0) sent.headers = {{"traceparent", traceparent(order.context())}};
      EXPECT_EQ(produce(client.get(), sent), RD_KAFKA_RESP_ERR_NO_ERROR);
    });
  }
  int sends = 0;
  for (const testing::OwnedSpan& span : recorder_->spans())
    sends += span.name == "send orders" ? 1 : 0;
  EXPECT_EQ(sends, threads * each);
  EXPECT_EQ(reported.load(), threads * each);
  EXPECT_EQ(finished.load(), threads * each);
  EXPECT_EQ(recorder_->counters().dropped_spans(), 0U);
  EXPECT_EQ(recorder_->counters()[Counter::operations_lost], 0U);
}

// The queue is cleared and the client closed while its reports come in.
TEST_F(KafkaStress, PurgesWhileOthersSendEndEverySpanOnce) {
  {
    const Client client = make_producer({}, {{"linger.ms", "50"}});
    send_from_all(client.get(), [&](int, int number) {
      EXPECT_EQ(produce(client.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
      if (number % 100 == 0) rd_kafka_purge(client.get(), RD_KAFKA_PURGE_F_QUEUE);
    });
  }
  std::map<std::string, int> by_outcome;
  for (const testing::OwnedSpan& span : recorder_->spans())
    ++by_outcome[span.attribute("error.type")];
  EXPECT_EQ(by_outcome[""] + by_outcome["_PURGE_QUEUE"], threads * each);
  EXPECT_GT(by_outcome["_PURGE_QUEUE"], 0) << "no purge found a message";
  EXPECT_LE(by_outcome.size(), 2U);
  EXPECT_EQ(recorder_->counters()[Counter::operations_lost], 0U);
}

}  // namespace
}  // namespace midtrace::test

// The life of process spans: whose trace they are in, what is current in them, and until when they live.
#include "live/amqp_consumer_fixture.h"

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace midtrace::test {
namespace {

using namespace std::chrono_literals;

class AmqpProcess : public AmqpConsumerTest {
 protected:
  // One message is sent, consumed, and processed below a current span or without one.
  void one_order(amqp::Options options, bool below_a_span) {
    TracedConnection amqp = consumer_of("orders", std::move(options));
    send("", "orders");
    const AmqpEnvelope envelope = amqp.next();
    ASSERT_TRUE(envelope);
    auto around = below_a_span ? start_span("worker loop") : Span();
    const auto current = around.activate();
    const auto processing = amqp::process(*amqp, *envelope);
    auto work = start_span("charge");
    work.end();
    EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
  }

  void send_with_baggage(std::string_view queue, std::initializer_list<std::string_view> members) {
    Context context = Context::current();
    for (const std::string_view member : members) {
      const std::size_t at = member.find('=');
      context.baggage = context.baggage.with(member.substr(0, at), member.substr(at + 1));
    }
    const Scope scope(context);
    send("", queue);
  }
};

std::string baggage_value(std::string_view name) {
  const auto member = Context::current().baggage.find(name);
  return member.has_value() ? std::string(member->value) : std::string();
}

// --- Relation.

TEST_F(AmqpProcess, WithoutACurrentSpanTheWorkBelongsToTheMessagesTrace) {
  one_order({.receive_spans = false}, false);
  EXPECT_EQ(brief(), R"(
publish orders PRODUCER
  process orders CONSUMER
    messaging.rabbitmq.message.delivery_tag = 1
    midtrace.process.ended_by = ack
    link -> publish orders
    ack orders CLIENT
      messaging.rabbitmq.message.delivery_tag = 1
      link -> publish orders
    charge INTERNAL
)");
}

TEST_F(AmqpProcess, BelowACurrentSpanTheMessageIsLinked) {
  one_order({.receive_spans = false}, true);
  EXPECT_EQ(brief(), R"(
publish orders PRODUCER
worker loop INTERNAL
  process orders CONSUMER
    messaging.rabbitmq.message.delivery_tag = 1
    midtrace.process.ended_by = ack
    link -> publish orders
    ack orders CLIENT
      messaging.rabbitmq.message.delivery_tag = 1
      link -> publish orders
    charge INTERNAL
)");
}

TEST_F(AmqpProcess, RelationLinkNeverContinuesTheMessagesTrace) {
  one_order({.relation = amqp::Relation::link, .receive_spans = false}, false);
  EXPECT_EQ(brief(), R"(
process orders CONSUMER
  messaging.rabbitmq.message.delivery_tag = 1
  midtrace.process.ended_by = ack
  link -> publish orders
  ack orders CLIENT
    messaging.rabbitmq.message.delivery_tag = 1
    link -> publish orders
  charge INTERNAL
publish orders PRODUCER
)");
}

TEST_F(AmqpProcess, RelationParentLinksTheCurrentSpanInstead) {
  one_order({.relation = amqp::Relation::parent, .receive_spans = false}, true);
  EXPECT_EQ(brief(), R"(
publish orders PRODUCER
  process orders CONSUMER
    messaging.rabbitmq.message.delivery_tag = 1
    midtrace.process.ended_by = ack
    link -> publish orders
    link -> worker loop
    ack orders CLIENT
      messaging.rabbitmq.message.delivery_tag = 1
      link -> publish orders
    charge INTERNAL
worker loop INTERNAL
)");
}

TEST_F(AmqpProcess, ARestartedTraceIsLinkedAndNotContinued) {
  one_order({.incoming_context = amqp::IncomingContext::restart, .receive_spans = false}, false);
  EXPECT_EQ(brief(), R"(
process orders CONSUMER
  messaging.rabbitmq.message.delivery_tag = 1
  midtrace.process.ended_by = ack
  link -> publish orders
  ack orders CLIENT
    messaging.rabbitmq.message.delivery_tag = 1
    link -> publish orders
  charge INTERNAL
publish orders PRODUCER
)");
}

TEST_F(AmqpProcess, AnIgnoredContextIsNeitherParentNorLink) {
  one_order({.incoming_context = amqp::IncomingContext::ignore, .receive_spans = false}, false);
  EXPECT_EQ(brief(), R"(
process orders CONSUMER
  messaging.rabbitmq.message.delivery_tag = 1
  midtrace.process.ended_by = ack
  ack orders CLIENT
    messaging.rabbitmq.message.delivery_tag = 1
  charge INTERNAL
publish orders PRODUCER
)");
}

TEST_F(AmqpProcess, AMessageWithoutAContextBeginsATrace) {
  TracedConnection amqp = consumer_of("orders");
  ASSERT_EQ(connect()->publish("", "orders", "order"), AMQP_STATUS_OK);
  {
    const AmqpEnvelope envelope = amqp.next();
    const auto processing = amqp::process(*amqp, *envelope);
    EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
  }
  EXPECT_EQ(brief(), R"(
process orders CONSUMER
  messaging.rabbitmq.message.delivery_tag = 1
  midtrace.process.ended_by = ack
  ack orders CLIENT
    messaging.rabbitmq.message.delivery_tag = 1
receive orders CLIENT
  messaging.rabbitmq.message.delivery_tag = 1
)");
}

// --- Batches.

TEST_F(AmqpProcess, ABatchIsOneSpanWithALinkForEachMessageAndOneAck) {
  {
    TracedConnection amqp = consumer_of("orders", {.receive_spans = false});
    send_many("orders", 3);
    AmqpEnvelopes batch;
    take(amqp, 3, batch);
    ASSERT_EQ(batch.size(), 3U);
    const auto processing = amqp::process(*amqp, batch.all());
    auto work = start_span("ship");
    work.end();
    EXPECT_EQ(amqp->basic_ack(1, batch[2].delivery_tag, 1), AMQP_STATUS_OK);
  }
  EXPECT_EQ(brief(), R"(
process orders CONSUMER
  messaging.batch.message_count = 3
  midtrace.process.ended_by = ack
  link -> publish orders {messaging.rabbitmq.message.delivery_tag = 1}
  link -> publish orders {messaging.rabbitmq.message.delivery_tag = 2}
  link -> publish orders {messaging.rabbitmq.message.delivery_tag = 3}
  ack orders CLIENT
    messaging.batch.message_count = 3
    messaging.rabbitmq.message.delivery_tag = 3
    link -> publish orders {messaging.rabbitmq.message.delivery_tag = 1}
    link -> publish orders {messaging.rabbitmq.message.delivery_tag = 2}
    link -> publish orders {messaging.rabbitmq.message.delivery_tag = 3}
  ship INTERNAL
publish orders PRODUCER
publish orders PRODUCER
publish orders PRODUCER
)");
}

TEST_F(AmqpProcess, APrefetchedHundredIsSettledByOneMultipleAck) {
  TracedConnection amqp = connect_traced({.receive_spans = false});
  ASSERT_EQ(amqp.declare_queue("orders"), "orders");
  ASSERT_NE(amqp->basic_qos(1, 0, 100, 0), nullptr);
  ASSERT_TRUE(amqp.consume("orders"));
  send_many("orders", 150);
  {
    AmqpEnvelopes batch;
    take(amqp, 100, batch);
    ASSERT_EQ(batch.size(), 100U);
    { const auto processing = amqp::process(*amqp, batch.all()); }
    EXPECT_EQ(all_of("process").size(), 0U);
    EXPECT_EQ(amqp->basic_ack(1, batch[99].delivery_tag, 1), AMQP_STATUS_OK);
  }
  const testing::OwnedSpan process = only("process");
  const testing::OwnedSpan ack = only("ack");
  for (const testing::OwnedSpan& span : {process, ack}) {
    EXPECT_EQ(span.links.size(), 100U) << span.name;
    EXPECT_EQ(span.dropped_links, 0U) << span.name;
    EXPECT_EQ(span.attribute("messaging.batch.message_count"), "100") << span.name;
    EXPECT_EQ(span.name, span.attribute("messaging.operation.name") + " orders");
  }
  EXPECT_EQ(process.attribute("midtrace.process.ended_by"), "ack");
  EXPECT_EQ(process.attribute("messaging.rabbitmq.message.delivery_tag"), "");
  EXPECT_EQ(ack.attribute("messaging.rabbitmq.message.delivery_tag"), "100");
  for (std::size_t at = 0; at < 100; ++at) {
    EXPECT_EQ(process.links[at].attributes.at(0).key, "messaging.rabbitmq.message.delivery_tag");
    EXPECT_EQ(process.links[at].attributes.at(0).text(), std::to_string(at + 1));
    EXPECT_EQ(process.links[at].context, ack.links[at].context);
  }
  // The rest of the queue comes under the next tags.
  EXPECT_EQ(amqp.next()->delivery_tag, 101U);
}

TEST_F(AmqpProcess, ABatchFromSeveralQueuesNamesThemOnItsLinks) {
  {
    TracedConnection amqp = consumer_of("orders", {.receive_spans = false});
    ASSERT_EQ(amqp.declare_queue("returns"), "returns");
    ASSERT_TRUE(amqp.consume("returns"));
    send("", "orders");
    AmqpEnvelopes batch;
    take(amqp, 1, batch);
    send("", "returns");
    take(amqp, 1, batch);
    ASSERT_EQ(batch.size(), 2U);
    const auto processing = amqp::process(*amqp, batch.all());
    EXPECT_EQ(amqp->basic_ack(1, 0, 1), AMQP_STATUS_OK);
  }
  EXPECT_EQ(brief(), R"(
process CONSUMER
  messaging.batch.message_count = 2
  midtrace.process.ended_by = ack
  link -> publish orders {messaging.rabbitmq.message.delivery_tag = 1}
  link -> publish returns {messaging.rabbitmq.message.delivery_tag = 2}
  ack CLIENT
    messaging.batch.message_count = 2
    link -> publish orders {messaging.rabbitmq.message.delivery_tag = 1}
    link -> publish returns {messaging.rabbitmq.message.delivery_tag = 2}
publish orders PRODUCER
publish returns PRODUCER
)");
}

TEST_F(AmqpProcess, ABatchLivesUntilItsLastMessageIsSettledAndTheWorstIsItsStatus) {
  TracedConnection amqp = consumer_of("orders", {.receive_spans = false});
  send_many("orders", 3);
  AmqpEnvelopes batch;
  take(amqp, 3, batch);
  ASSERT_EQ(batch.size(), 3U);
  { const auto processing = amqp::process(*amqp, batch.all()); }
  EXPECT_EQ(amqp->basic_ack(1, 1, 0), AMQP_STATUS_OK);
  EXPECT_EQ(amqp->basic_nack(1, 2, 0, 0), AMQP_STATUS_OK);
  EXPECT_EQ(all_of("process").size(), 0U);
  EXPECT_EQ(amqp->basic_ack(1, 3, 0), AMQP_STATUS_OK);
  const testing::OwnedSpan process = only("process");
  EXPECT_EQ(process.attribute("midtrace.process.ended_by"), "nack");
  EXPECT_EQ(process.attribute("error.type"), "nack");
}

TEST_F(AmqpProcess, AnEmptyBatchHasNoSpan) {
  TracedConnection amqp = consumer_of("orders");
  {
    const auto processing = amqp::process(*amqp, std::span<const amqp_envelope_t>());
    EXPECT_FALSE(Context::current().span.valid());
  }
  EXPECT_EQ(brief(), "\n");
}

// --- Baggage.

TEST_F(AmqpProcess, TheMessagesBaggageIsCurrentWhileItIsProcessed) {
  TracedConnection amqp =
      consumer_of("orders", {.baggage_keys = std::vector<std::string>{"tenant", "region"}});
  send_with_baggage("orders", {"tenant=acme", "secret=x"});
  const AmqpEnvelope envelope = amqp.next();
  ASSERT_TRUE(envelope);
  {
    const auto processing = amqp::process(*amqp, *envelope);
    EXPECT_EQ(baggage_value("tenant"), "acme");
    EXPECT_EQ(baggage_value("secret"), "");
    EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
  }
  EXPECT_EQ(baggage_value("tenant"), "");
}

TEST_F(AmqpProcess, InABatchOnlyListedBaggageOnWhichAllAgreeIsCurrent) {
  TracedConnection amqp = consumer_of("orders", {.batch_baggage = {"tenant", "region"}});
  send_with_baggage("orders", {"tenant=acme", "region=eu", "other=1"});
  send_with_baggage("orders", {"tenant=acme", "region=us", "other=1"});
  AmqpEnvelopes batch;
  take(amqp, 2, batch);
  ASSERT_EQ(batch.size(), 2U);
  const auto processing = amqp::process(*amqp, batch.all());
  EXPECT_EQ(baggage_value("tenant"), "acme");
  EXPECT_EQ(baggage_value("region"), "");
  EXPECT_EQ(baggage_value("other"), "");
  EXPECT_EQ(amqp->basic_ack(1, 0, 1), AMQP_STATUS_OK);
}

// --- Until when a span lives.

TEST_F(AmqpProcess, AnAckWithinTheScopeEndsTheSpanWithTheScope) {
  TracedConnection amqp = consumer_of("orders");
  send("", "orders");
  const AmqpEnvelope envelope = amqp.next();
  ASSERT_TRUE(envelope);
  {
    auto processing = amqp::process(*amqp, *envelope);
    EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
    EXPECT_EQ(all_of("process").size(), 0U);
    processing.span().set("app.late", "said after the ack");
  }
  EXPECT_EQ(ended_by(), "ack");
  EXPECT_EQ(only("process").attribute("app.late"), "said after the ack");
}

TEST_F(AmqpProcess, AnAckAfterTheScopeEndsTheSpanThenAndIsItsChild) {
  TracedConnection amqp = consumer_of("orders");
  send("", "orders");
  const AmqpEnvelope envelope = amqp.next();
  ASSERT_TRUE(envelope);
  { const auto processing = amqp::process(*amqp, *envelope); }
  EXPECT_EQ(all_of("process").size(), 0U);
  recorder_->clock().advance(5s);
  EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
  const testing::OwnedSpan process = only("process");
  EXPECT_EQ(process.end_unix_nanos - process.start_unix_nanos, 5'000'000'000);
  EXPECT_EQ(only("ack").parent_span_id, process.context.span_id);
}

TEST_F(AmqpProcess, ADetachedSpanIsCurrentWhereItIsActivatedAndEndsWithTheAck) {
  {
    TracedConnection amqp = consumer_of("orders", {.receive_spans = false});
    send("", "orders");
    const AmqpEnvelope envelope = amqp.next();
    ASSERT_TRUE(envelope);
    amqp::ProcessSpan detached = amqp::process(*amqp, *envelope).detach();
    EXPECT_FALSE(Context::current().span.valid());
    std::thread([&detached] {
      const auto activation = detached.activate();
      auto work = start_span("ship");
      work.end();
    }).join();
    detached.end();
    EXPECT_EQ(all_of("process").size(), 0U);
    EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
    EXPECT_EQ(all_of("process").size(), 1U);
  }
  EXPECT_EQ(brief(), R"(
publish orders PRODUCER
  process orders CONSUMER
    messaging.rabbitmq.message.delivery_tag = 1
    midtrace.process.ended_by = ack
    link -> publish orders
    ack orders CLIENT
      messaging.rabbitmq.message.delivery_tag = 1
      link -> publish orders
    ship INTERNAL
)");
}

TEST_F(AmqpProcess, ADetachedSpanThatIsHeldOutlivesItsAck) {
  TracedConnection amqp = consumer_of("orders");
  send("", "orders");
  const AmqpEnvelope envelope = amqp.next();
  ASSERT_TRUE(envelope);
  {
    amqp::ProcessSpan detached = amqp::process(*amqp, *envelope).detach();
    EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
    EXPECT_EQ(all_of("process").size(), 0U);
    detached.span().set("app.late", "said after the ack");
  }
  EXPECT_EQ(ended_by(), "ack");
  EXPECT_EQ(only("process").attribute("app.late"), "said after the ack");
}

TEST_F(AmqpProcess, AProcessSpanBegunAfterTheAckEndsWithItsScope) {
  TracedConnection amqp = consumer_of("orders");
  send("", "orders");
  const AmqpEnvelope envelope = amqp.next();
  ASSERT_TRUE(envelope);
  EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
  { const auto processing = amqp::process(*amqp, *envelope); }
  const testing::OwnedSpan process = only("process");
  EXPECT_EQ(process.name, "process orders");
  EXPECT_EQ(process.context.trace_id, only("publish").context.trace_id);
  EXPECT_EQ(process.attribute("midtrace.process.ended_by"), "");
}

TEST_F(AmqpProcess, WorkersProcessWhileTheConnectionsThreadConsumesAndSettles) {
  constexpr std::size_t messages = 300;
  constexpr int workers = 3;
  TracedConnection amqp = connect_traced({.receive_spans = false, .settle_spans = false});
  ASSERT_EQ(amqp.declare_queue("orders"), "orders");
  ASSERT_NE(amqp->basic_qos(1, 0, 20, 0), nullptr);
  ASSERT_TRUE(amqp.consume("orders"));
  send_many("orders", messages);

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<AmqpEnvelope> to_do;
  std::deque<std::uint64_t> done;
  bool over = false;
  std::vector<std::thread> threads;
  for (int worker = 0; worker < workers; ++worker) {
    threads.emplace_back([&, worker] {
      for (;;) {
        AmqpEnvelope envelope;
        {
          std::unique_lock lock(mutex);
          changed.wait(lock, [&] { return over || !to_do.empty(); });
          if (to_do.empty()) return;
          envelope = std::move(to_do.front());
          to_do.pop_front();
        }
        auto processing = amqp::process(*amqp, *envelope);
        auto work = start_span("charge");
        work.end();
        // Some are settled while their scope is open.
        const auto say_done = [&] {
          const std::lock_guard lock(mutex);
          done.push_back(envelope->delivery_tag);
          changed.notify_all();
        };
        if (worker == 0) {
          say_done();
        } else {
          const auto detached = processing.detach();
          say_done();
        }
      }
    });
  }
  std::size_t received = 0;
  std::size_t settled = 0;
  while (settled < messages && !HasFailure()) {
    if (received < messages && received - settled < 20) {
      AmqpEnvelope envelope = amqp.next();
      if (envelope == nullptr) break;
      ++received;
      const std::lock_guard lock(mutex);
      to_do.push_back(std::move(envelope));
      changed.notify_all();
    }
    std::unique_lock lock(mutex);
    if (received == messages || received - settled == 20)
      changed.wait_for(lock, 60s, [&] { return !done.empty(); });
    while (!done.empty()) {
      EXPECT_EQ(amqp->basic_ack(1, done.front(), 0), AMQP_STATUS_OK);
      done.pop_front();
      ++settled;
    }
  }
  {
    const std::lock_guard lock(mutex);
    over = true;
    changed.notify_all();
  }
  for (std::thread& thread : threads)
    thread.join();
  std::map<TraceId, SpanId> published;
  for (const testing::OwnedSpan& publish : all_of("publish"))
    published[publish.context.trace_id] = publish.context.span_id;
  const std::vector<testing::OwnedSpan> processes = all_of("process");
  EXPECT_EQ(processes.size(), messages);
  for (const testing::OwnedSpan& process : processes) {
    EXPECT_EQ(process.parent_span_id, published[process.context.trace_id]);
    EXPECT_EQ(process.attribute("midtrace.process.ended_by"), "ack");
    published.erase(process.context.trace_id);
  }
  EXPECT_TRUE(published.empty());
}

// --- The time limit.

TEST_F(AmqpProcess, WorkThatIsNeverSettledIsEndedByTheTimeLimit) {
  start_recorder({.batch = {.schedule_delay = 20ms}});
  TracedConnection amqp = consumer_of("orders", {.settle_timeout = 20ms});
  send("", "orders");
  const AmqpEnvelope envelope = amqp.next();
  ASSERT_TRUE(envelope);
  { const auto processing = amqp::process(*amqp, *envelope); }
  ASSERT_TRUE(becomes_true([this] { return recorder_->counters()[Counter::operations_timed_out] == 1; }));
  ASSERT_TRUE(becomes_true([this] { return all_of("process").size() == 1; }));
  const testing::OwnedSpan process = only("process");
  EXPECT_EQ(process.attribute("midtrace.process.ended_by"), "timeout");
  EXPECT_EQ(process.attribute("error.type"), "timeout");
  // The message itself waits for its settlement still.
  EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
  const testing::OwnedSpan ack = only("ack");
  EXPECT_EQ(ack.name, "ack orders");
  EXPECT_EQ(ack.parent_span_id, process.context.span_id);
  EXPECT_EQ(ack.links.size(), 1U);
  EXPECT_EQ(all_of("process").size(), 1U);
  EXPECT_EQ(ready_in(amqp, "orders"), 0U);
}

TEST_F(AmqpProcess, WorkThatIsInUseIsNotEndedByTheTimeLimit) {
  start_recorder({.batch = {.schedule_delay = 10ms}});
  TracedConnection amqp = consumer_of("orders", {.settle_timeout = 10ms});
  send_many("orders", 3);
  AmqpEnvelopes messages;
  take(amqp, 3, messages);
  ASSERT_EQ(messages.size(), 3U);
  {
    const auto in_scope = amqp::process(*amqp, messages[0]);
    amqp::ProcessSpan detached = amqp::process(*amqp, messages[1]).detach();
    const auto activation = detached.activate();
    { const auto forgotten = amqp::process(*amqp, messages[2]); }
    // By then the others would have been ended as well.
    ASSERT_TRUE(becomes_true([this] { return recorder_->counters()[Counter::operations_timed_out] == 1; }));
    EXPECT_EQ(amqp->basic_ack(1, 0, 1), AMQP_STATUS_OK);
  }
  EXPECT_EQ(recorder_->counters()[Counter::operations_timed_out], 1U);
  std::map<std::string, int> ended;
  for (const testing::OwnedSpan& process : all_of("process"))
    ++ended[process.attribute("midtrace.process.ended_by")];
  EXPECT_EQ(ended, (std::map<std::string, int>{{"ack", 2}, {"timeout", 1}}));
}

TEST_F(AmqpProcess, WithoutATimeLimitTheConnectionsEndIsTheSpans) {
  {
    TracedConnection amqp = consumer_of("orders", {.settle_timeout = 0ms});
    send("", "orders");
    const AmqpEnvelope envelope = amqp.next();
    ASSERT_TRUE(envelope);
    { const auto processing = amqp::process(*amqp, *envelope); }
  }
  EXPECT_EQ(ended_by(), "connection_closed");
}

// --- Failures of the work.

TEST_F(AmqpProcess, AnExceptionThatLeavesTheScopeIsTheErrorAndTheNackItsEnd) {
  TracedConnection amqp = consumer_of("orders");
  send("", "orders");
  const AmqpEnvelope envelope = amqp.next();
  ASSERT_TRUE(envelope);
  try {
    const auto processing = amqp::process(*amqp, *envelope);
    throw std::runtime_error("card 4711 refused");
  } catch (const std::runtime_error&) {
    EXPECT_EQ(amqp->basic_nack(1, envelope->delivery_tag, 0, 0), AMQP_STATUS_OK);
  }
  const testing::OwnedSpan process = only("process");
  EXPECT_EQ(process.status, StatusCode::error);
  EXPECT_EQ(process.attribute("error.type"), "_OTHER");
  EXPECT_EQ(process.attribute("midtrace.process.ended_by"), "nack");
  EXPECT_EQ(recorder_->tree().find("4711"), std::string::npos);
}

TEST_F(AmqpProcess, TheApplicationsErrorStaysWhateverTheSettlementIs) {
  TracedConnection amqp = consumer_of("orders");
  send("", "orders");
  const AmqpEnvelope envelope = amqp.next();
  ASSERT_TRUE(envelope);
  {
    auto processing = amqp::process(*amqp, *envelope);
    processing.set_error("out_of_stock");
  }
  EXPECT_EQ(amqp->basic_reject(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
  EXPECT_EQ(only("process").attribute("error.type"), "out_of_stock");
  EXPECT_EQ(ended_by(), "reject");
}

}  // namespace
}  // namespace midtrace::test

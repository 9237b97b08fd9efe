// The Kafka module with many messages: none of them loses its link, and sampling keeps or drops whole graphs.

#include "live/kafka_fixture.h"

#include <set>

namespace midtrace::test {
namespace {

using Ids = std::set<std::string>;

class KafkaVolume : public KafkaFixture {
 protected:
  static constexpr int messages = 1000;
  static constexpr std::size_t carrying = 900;

  // With room for all spans, however far the collector is behind.
  void SetUp() override { start_recorder({.batch = {.queue_size = 65536}}); }

  // Every tenth message comes from a service without tracing and carries no context.
  void send_thousand() {
    const Client traced = make_producer();
    const Client untraced = make_bare_producer();
    for (int i = 0; i < messages; ++i) {
      ASSERT_EQ(produce((i % 10 == 0 ? untraced : traced).get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    deliver(traced.get());
    deliver(untraced.get());
  }

  std::vector<testing::OwnedSpan> spans_of(SpanKind kind) {
    std::vector<testing::OwnedSpan> spans = recorder_->spans();
    std::erase_if(spans, [kind](const testing::OwnedSpan& span) { return span.kind != kind; });
    return spans;
  }
  Ids sent() {
    Ids ids;
    for (const testing::OwnedSpan& span : spans_of(SpanKind::producer))
      ids.insert(span.context.span_id.to_string());
    return ids;
  }

  // One span for all messages, with a link to every send.
  void expect_one_span_with_every_link(SpanKind kind) {
    const std::vector<testing::OwnedSpan> spans = spans_of(kind);
    ASSERT_EQ(spans.size(), 1U);
    EXPECT_EQ(spans[0].attribute("messaging.batch.message_count"), std::to_string(messages));
    EXPECT_EQ(spans[0].dropped_links, 0U);
    EXPECT_EQ(spans[0].links.size(), carrying);
    Ids linked;
    for (const testing::OwnedLink& link : spans[0].links)
      linked.insert(link.context.span_id.to_string());
    EXPECT_EQ(linked, sent());
  }

  // One span for each message, which links to its own send and to nothing else.
  void expect_a_span_for_each_message(SpanKind kind) {
    const std::vector<testing::OwnedSpan> spans = spans_of(kind);
    EXPECT_EQ(spans.size(), static_cast<std::size_t>(messages));
    Ids linked;
    Ids offsets;
    std::size_t links = 0;
    for (const testing::OwnedSpan& span : spans) {
      EXPECT_EQ(span.attribute("messaging.consumer.group.name"), "workers");
      offsets.insert(span.attribute("messaging.kafka.offset"));
      for (const testing::OwnedLink& link : span.links) {
        ++links;
        linked.insert(link.context.span_id.to_string());
        if (kind == SpanKind::consumer) {
          EXPECT_EQ(span.parent_span_id, link.context.span_id);
        }
      }
    }
    EXPECT_EQ(offsets.size(), static_cast<std::size_t>(messages));
    EXPECT_EQ(links, carrying);
    EXPECT_EQ(linked, sent());
  }
};

TEST_F(KafkaVolume, AThousandMessagesHaveASpanAndALinkEach_Interceptors) {
  send_thousand();
  {
    const Client consumer = make_consumer();
    for (int i = 0; i < messages; ++i) {
      const OwnedMessage message = poll(consumer.get());
      const auto processing = kafka::process(message.get());
    }
  }
  EXPECT_EQ(sent().size(), carrying);
  expect_a_span_for_each_message(SpanKind::client);
  expect_a_span_for_each_message(SpanKind::consumer);
}

// Far more messages than a thread remembers; when their consumer is named, none needs to be remembered.
TEST_F(KafkaVolume, BatchOf1000MessagesKeepsEveryLink_Interceptors) {
  send_thousand();
  {
    const Client consumer = make_consumer();
    rd_kafka_queue_t* queue = rd_kafka_queue_get_consumer(consumer.get());
    std::vector<rd_kafka_message_t*> batch(messages);
    ASSERT_EQ(rd_kafka_consume_batch_queue(queue, 10000, batch.data(), batch.size()), messages);
    rd_kafka_queue_destroy(queue);
    for (rd_kafka_message_t* received : batch) {
      const OwnedMessage message(received);
      const auto processing = kafka::process(consumer.get(), message.get());
    }
  }
  EXPECT_EQ(sent().size(), carrying);
  expect_a_span_for_each_message(SpanKind::client);
  expect_a_span_for_each_message(SpanKind::consumer);
}

TEST_F(KafkaVolume, BatchOf1000MessagesKeepsEveryLink_Wrapper) {
  send_thousand();
  {
    const Client consumer = make_consumer();
    const kafka::Batch batch = consume_exactly(consumer.get(), messages);
    const auto processing = kafka::process(batch);
  }
  EXPECT_EQ(sent().size(), carrying);
  expect_one_span_with_every_link(SpanKind::client);
  expect_one_span_with_every_link(SpanKind::consumer);
}

// Links and dropped links together are the messages that carried a context.
TEST_F(KafkaVolume, BeyondTheLinkLimitTheDroppedLinksAreCounted_Wrapper) {
  start_recorder({.limits = {.link_count = 3, .module_link_count = 3}});
  {
    const Client producer = make_producer();
    produce_from_own_traces(producer.get(), std::vector<Sent>(5));
  }
  {
    const Client consumer = make_consumer();
    const kafka::Batch batch = consume_exactly(consumer.get(), 5);
    const auto processing = kafka::process(batch);
  }
  for (const SpanKind kind : {SpanKind::client, SpanKind::consumer}) {
    const std::vector<testing::OwnedSpan> spans = spans_of(kind);
    ASSERT_EQ(spans.size(), 1U);
    EXPECT_EQ(spans[0].links.size(), 3U);
    EXPECT_EQ(spans[0].dropped_links, 2U);
  }
}

// Of every order either all spans are exported or none: the send, the poll that fetched it, its process span
// and the work in it. Sampling is decided once, where the trace begins.
class KafkaRatio : public KafkaVolume {
 protected:
  static constexpr int orders = 10000;

  void SetUp() override {
    start_recorder({.sampler = parent_based_sampler({.root = trace_id_ratio_sampler(0.1)}),
                    .batch = {.queue_size = 65536},
                    .random_ids = true});
    const Client producer = make_producer({}, {{"linger.ms", "5"}});
    for (int i = 0; i < orders; ++i)
      ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
  }

  void expect_whole_graphs() {
    struct Graph {
      int sends = 0, polls = 0, processes = 0, works = 0;
      bool operator==(const Graph&) const = default;
    };
    std::map<TraceId, Graph> graphs;
    for (const testing::OwnedSpan& span : recorder_->spans()) {
      if (span.name == "poll orders") {
        ASSERT_EQ(span.links.size(), 1U);
        ++graphs[span.links[0].context.trace_id].polls;
      } else {
        Graph& graph = graphs[span.context.trace_id];
        ++(span.name == "send orders"      ? graph.sends
           : span.name == "process orders" ? graph.processes
                                           : graph.works);
      }
    }
    EXPECT_EQ(recorder_->counters().dropped_spans(), 0U);
    // 10 % of 10 000, within five standard deviations.
    EXPECT_GT(graphs.size(), 850U);
    EXPECT_LT(graphs.size(), 1150U);
    const Graph whole{1, 1, 1, 1};
    for (const auto& [trace, graph] : graphs)
      EXPECT_EQ(graph, whole) << trace.to_string();
  }
};

TEST_F(KafkaRatio, RatioSamplingKeepsEveryGraphWholeOrAbsent_Interceptors) {
  {
    const Client consumer = make_consumer();
    for (int i = 0; i < orders; ++i) {
      const OwnedMessage message = poll(consumer.get());
      ASSERT_NE(message, nullptr);
      const auto processing = kafka::process(message.get());
      const Span work = start_span("ship");
    }
  }
  expect_whole_graphs();
}

TEST_F(KafkaRatio, RatioSamplingKeepsEveryGraphWholeOrAbsent_Wrapper) {
  {
    const Client consumer = make_consumer();
    for (int i = 0; i < orders; ++i) {
      const kafka::Message message = kafka::consume(consumer.get(), 10s);
      ASSERT_TRUE(message);
      const auto processing = kafka::process(message);
      const Span work = start_span("ship");
    }
  }
  expect_whole_graphs();
}

}  // namespace
}  // namespace midtrace::test

// The links of a batch: one for each message as long as a span keeps them all; beyond that one for each
// context, those that are sampled first, and an exact count of what has no link.

#include "fan_in.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "client.h"
#include "receive_spans.h"

#include <midtrace/export/exporters.h>
#include <midtrace/testing/testing.h>

namespace midtrace {
namespace {

using kafka::LinkOverflow;
using kafka::detail::Client;
using kafka::detail::Delivery;
using kafka::detail::FanIn;
using kafka::detail::find_common;
using kafka::detail::LinkBuffers;
using kafka::detail::make_links;

SpanContext context(std::uint64_t number, bool sampled = true) {
  SpanContext made;
  made.trace_id = {1, number};
  made.span_id = {number + 1};
  made.flags.bits = sampled ? 1 : 0;
  return made;
}

// Messages at the offsets 0, 1, 2, ... of one partition, with these contexts.
class Messages {
 public:
  explicit Messages(const std::vector<SpanContext>& contexts) : messages_(contexts.size()) {
    for (std::size_t i = 0; i < contexts.size(); ++i) {
      messages_[i].payload = const_cast<char*>("order");
      messages_[i].offset = static_cast<std::int64_t>(i);
      Delivery delivery{&messages_[i]};
      delivery.creation.span = contexts[i];
      deliveries.push_back(std::move(delivery));
    }
  }
  // A different text for each message.
  void give_keys(std::size_t length) {
    for (std::size_t i = 0; i < messages_.size(); ++i) {
      std::string number = std::to_string(i);
      keys_.push_back(number.append(length - number.size(), 'x'));
    }
    for (std::size_t i = 0; i < messages_.size(); ++i) {
      messages_[i].key = keys_[i].data();
      messages_[i].key_len = keys_[i].size();
    }
  }
  std::vector<Delivery> deliveries;

 private:
  std::vector<std::string> keys_;
  std::vector<rd_kafka_message_t> messages_;
};

class KafkaFanIn : public ::testing::Test {
 protected:
  void SetUp() override { make_client({}); }
  void make_client(kafka::Options options) {
    client_ = std::make_shared<Client>(
        std::make_shared<const kafka::detail::ReadyOptions>(std::move(options)), nullptr);
  }
  FanIn links(const std::vector<SpanContext>& contexts, std::size_t limit,
              LinkOverflow overflow = LinkOverflow::drop) {
    messages_.emplace_back(contexts);
    const std::vector<Delivery>& deliveries = messages_.back().deliveries;
    return make_links(*client_, deliveries, find_common(deliveries), buffers_, overflow, limit);
  }
  // `number` of the context each, with its attributes: `3 messaging.kafka.offset=5`.
  static std::vector<std::string> texts(std::span<const Link> links) {
    std::vector<std::string> result;
    for (const Link& link : links) {
      std::string text = std::to_string(link.context.trace_id.low);
      for (const Attribute& attribute : link.attributes) {
        const std::string_view key = attribute.key.name();
        text.append(" ").append(key.substr(key.rfind('.') + 1));
        if (attribute.value.type() == AttributeType::integer)
          text.append("=").append(std::to_string(attribute.value.as_integer()));
      }
      result.push_back(std::move(text));
    }
    return result;
  }

  std::shared_ptr<Client> client_;
  LinkBuffers buffers_;
  std::vector<Messages> messages_;
};

using Texts = std::vector<std::string>;

TEST_F(KafkaFanIn, UpToTheLimitEachMessageHasItsOwnLinkAlsoToTheSameContext) {
  const FanIn made = links({context(7), context(7), context(3, false)}, 3);
  EXPECT_EQ(texts(made.links), (Texts{"7 offset=0", "7 offset=1", "3 offset=2"}));
  EXPECT_TRUE(made.overflow.empty());
  EXPECT_EQ(made.dropped, 0U);
}

TEST_F(KafkaFanIn, BeyondTheLimitMessagesOfOneContextShareALinkThatSaysSo) {
  const FanIn made = links({context(7), context(3), context(7), context(5)}, 3);
  EXPECT_EQ(texts(made.links), (Texts{"7 shared", "3 offset=1", "5 offset=3"}));
  EXPECT_EQ(made.dropped, 0U);
}

TEST_F(KafkaFanIn, BeyondTheLimitSampledContextsComeFirstAndTheRestIsCounted) {
  const FanIn made =
      links({context(1, false), context(2), context(3, false), context(4), context(4), context(5, false)}, 3);
  EXPECT_EQ(texts(made.links), (Texts{"2 offset=1", "4 shared", "1 offset=0"}));
  EXPECT_EQ(made.dropped, 2U);
}

TEST_F(KafkaFanIn, MessagesWithoutAContextAreNeitherLinkedNorDropped) {
  const FanIn made = links({context(1), {}, context(2), {}, context(3)}, 2);
  EXPECT_EQ(texts(made.links), (Texts{"1 offset=0", "2 offset=2"}));
  EXPECT_EQ(made.dropped, 1U);
}

TEST_F(KafkaFanIn, ChainedLinksAreBesideThoseOfTheSpanAndNoneIsDropped) {
  const FanIn made =
      links({context(1), context(2), context(3), context(2), context(4)}, 2, LinkOverflow::chain);
  EXPECT_EQ(texts(made.links), (Texts{"1 offset=0", "2 shared"}));
  EXPECT_EQ(texts(made.overflow), (Texts{"3 offset=2", "4 offset=4"}));
  EXPECT_EQ(made.dropped, 0U);
}

TEST_F(KafkaFanIn, WithoutRoomForLinksTheSamplerStillSeesASampledOne) {
  const FanIn made = links({context(1, false), context(2), context(3)}, 0, LinkOverflow::chain);
  EXPECT_EQ(texts(made.links), (Texts{"2 offset=1"}));
  EXPECT_TRUE(made.overflow.empty());
  EXPECT_EQ(made.dropped, 2U);
}

TEST_F(KafkaFanIn, AgreesWithASetOverTenThousandMessagesOfFewTraces) {
  std::vector<SpanContext> contexts;
  std::set<std::uint64_t> sampled;
  std::set<std::uint64_t> all;
  std::uint64_t random = 1;
  for (int i = 0; i < 10000; ++i) {
    random = random * 6364136223846793005U + 1442695040888963407U;
    const std::uint64_t number = random >> 52U;  // one of 4 096
    contexts.push_back(context(number, number % 3 == 0));
    all.insert(number);
    if (number % 3 == 0) sampled.insert(number);
  }
  ASSERT_GT(sampled.size(), 1024U);
  const FanIn made = links(contexts, 1024);
  std::set<std::uint64_t> linked;
  for (const Link& link : made.links) {
    EXPECT_TRUE(link.context.sampled());
    EXPECT_TRUE(sampled.contains(link.context.trace_id.low));
    linked.insert(link.context.trace_id.low);
  }
  EXPECT_EQ(linked.size(), 1024U);
  EXPECT_EQ(made.dropped, all.size() - 1024);
}

// Contexts come from outside: ids that differ in few places are told apart as fast as others.
TEST_F(KafkaFanIn, IdsThatDifferInFewBitsAreSpreadAsWell) {
  for (const unsigned shift : {0U, 20U, 40U, 50U}) {
    std::vector<SpanContext> contexts;
    for (std::uint64_t i = 0; i < 10000; ++i) {
      SpanContext made = context(1);
      made.trace_id.low = i << shift;
      contexts.push_back(made);
    }
    const FanIn made = links(contexts, 10);
    EXPECT_EQ(made.dropped, 9990U);
    std::size_t longest = 0;
    std::size_t run = 0;
    for (const std::uint32_t slot : buffers_.slots) {
      run = slot != 0 ? run + 1 : 0;
      longest = std::max(longest, run);
    }
    EXPECT_LT(longest, 200U) << "shift " << shift;
  }
}

class KafkaFanInSpans : public KafkaFanIn {
 protected:
  void process(std::size_t messages) {
    std::vector<SpanContext> contexts;
    for (std::uint64_t i = 0; i < messages; ++i)
      contexts.push_back(context(i));
    const Messages batch(contexts);
    auto started =
        kafka::detail::start_process_span(*client_, batch.deliveries, true, kafka::detail::thread_state());
    started.span.end();
  }
  // All contexts that some span links to.
  static std::set<std::uint64_t> linked(const std::vector<testing::OwnedSpan>& spans) {
    std::set<std::uint64_t> result;
    for (const testing::OwnedSpan& span : spans) {
      for (const testing::OwnedLink& link : span.links)
        result.insert(link.context.trace_id.low);
    }
    return result;
  }
};

TEST_F(KafkaFanInSpans, DroppedLinksOfTenThousandMessagesAreCountedOnTheSpanAndExported) {
  const std::string file = ::testing::TempDir() + "midtrace_fan_in.jsonl";
  std::remove(file.c_str());
  {
    testing::Recorder recorder({.more_exporters = {otlp_file_exporter(file)}});
    process(10000);
    const auto spans = recorder.spans();
    ASSERT_EQ(spans.size(), 1U);
    EXPECT_EQ(spans[0].links.size(), 1024U);
    EXPECT_EQ(spans[0].dropped_links, 8976U);
    EXPECT_EQ(spans[0].attribute("messaging.batch.message_count"), "10000");
    EXPECT_EQ(recorder.counters()[Counter::dropped_links], 8976U);
  }
  std::string text;
  std::FILE* opened = std::fopen(file.c_str(), "r");
  ASSERT_NE(opened, nullptr);
  char buffer[65536];
  for (std::size_t got; (got = std::fread(buffer, 1, sizeof(buffer), opened)) > 0;)
    text.append(buffer, got);
  std::fclose(opened);
  std::remove(file.c_str());
  EXPECT_NE(text.find("\"droppedLinksCount\":8976"), std::string::npos);
}

TEST_F(KafkaFanInSpans, ChainedSpansOfTenThousandMessagesLoseNoLink) {
  make_client({.link_overflow = LinkOverflow::chain});
  testing::Recorder recorder;
  process(10000);
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), 10U);
  EXPECT_EQ(linked(spans).size(), 10000U);
  std::size_t process_spans = 0;
  SpanId process_id;
  for (const testing::OwnedSpan& span : spans) {
    EXPECT_LE(span.links.size(), 1024U);
    EXPECT_EQ(span.dropped_links, 0U);
    if (span.kind == SpanKind::consumer) {
      ++process_spans;
      process_id = span.context.span_id;
    }
  }
  EXPECT_EQ(process_spans, 1U);
  for (const testing::OwnedSpan& span : spans) {
    if (span.kind == SpanKind::consumer) continue;
    EXPECT_EQ(span.parent_span_id, process_id);
    EXPECT_EQ(span.start_unix_nanos, span.end_unix_nanos);
  }
}

// 300 links are fewer than a span may have, and too long for it.
TEST_F(KafkaFanInSpans, ChainedSpansLoseNoLinkToLongKeysEither) {
  make_client({.link_overflow = LinkOverflow::chain});
  testing::Recorder recorder;
  std::vector<SpanContext> contexts;
  for (std::uint64_t i = 0; i < 300; ++i)
    contexts.push_back(context(i));
  Messages batch(contexts);
  batch.give_keys(1024);
  kafka::detail::start_process_span(*client_, batch.deliveries, true, kafka::detail::thread_state())
      .span.end();
  const auto spans = recorder.spans();
  EXPECT_EQ(spans.size(), 2U);
  EXPECT_EQ(linked(spans).size(), 300U);
  EXPECT_EQ(recorder.counters()[Counter::dropped_links], 0U);
  EXPECT_EQ(recorder.counters()[Counter::dropped_attributes], 0U);
  EXPECT_EQ(recorder.counters()[Counter::truncated_values], 0U);
}

TEST_F(KafkaFanInSpans, ChainedSpansAreInternalAndSayNothingOfAnOperation) {
  make_client({.link_overflow = LinkOverflow::chain});
  testing::Recorder recorder({.limits = {.link_count = 2, .module_link_count = 2}});
  process(5);
  EXPECT_EQ(recorder.tree(), R"(
process CONSUMER
  messaging.batch.message_count = 5
  messaging.destination.partition.id = 0
  messaging.operation.name = process
  messaging.operation.type = process
  messaging.system = kafka
  link -> (not here) {messaging.kafka.offset = 0}
  link -> (not here) {messaging.kafka.offset = 1}
  process INTERNAL
    messaging.system = kafka
    link -> (not here) {messaging.kafka.offset = 2}
    link -> (not here) {messaging.kafka.offset = 3}
  process INTERNAL
    messaging.system = kafka
    link -> (not here) {messaging.kafka.offset = 4}
)");
}

}  // namespace
}  // namespace midtrace

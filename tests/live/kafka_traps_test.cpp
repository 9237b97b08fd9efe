// What librdkafka does that would break a naive interceptor; crashes are provoked in child processes. All of
// its traps, and where each is tested (here, where no other suite is named):
//
// - A header over message.max.bytes aborts the process: KafkaSizes, KafkaSizeControl.
// - A failed rd_kafka_new() leaves a configuration that crashes: CreateSurvives*, AFailedNew*.
// - Reports come after on_destroy, or never: EverySendEndsExactlyOnce*, ABatchMessageThatIsNeverReported*.
// - A report names another message, an address is used again: KafkaPartitioner, KafkaOpenSends.Inserting*.
// - To exchange the headers frees the application's: KafkaPartitioner, HeadersAreChangedInPlace*.
// - A full queue and a large message call no interceptor: KafkaFailures.QueueFull_*, .MessageTooLarge_*.
// - Interceptors are not copied with a configuration: CopiesOfAConfiguration*, KafkaCpp.TwoClients*.
// - A plugin sees no librdkafka, and stops the program when it fails: KafkaPlugin.NeedsNo*, .SaysWhat*.
// - A plugin's properties are unknown before it is named: APropertyOfThePlugin*.
// - The last configuration unloads the plugin, whose thread runs: KafkaPlugin.NeedsNo* (it stays), .TracesA*.
// - on_consume has no end, and headers may be detached: TheWrapperReadsContexts*, APollSpanOfTheWrapper*.
// - on_new comes before the client's lock, on_send under the topic's: TheFirstSendMayComeUnder*.
// - on_commit has no beginning and no parent: KafkaCommits.
// - The mock cluster keeps 5 MiB per partition: KafkaMillion has a real broker.
// - Reports come on the threads of brokers, of the client and of senders: KafkaStress, KafkaPartitioner.
// - The mock cluster shows aborted messages and fences nobody: KafkaTransactionsOnBroker.
// - A seek or a rebalance takes messages back inside a call: KafkaTakenBack, KafkaRebalanceOnBroker.
// - ThreadSanitizer does not know its C11 threads: ThreadSanitizerSees*, in that build only.
// - Share consumers refuse interceptors: not tested, librdkafka 2.0.2 has none.

#include "live/kafka_fixture.h"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <set>
#include <thread>

namespace midtrace::test {
namespace {

class KafkaTraps : public KafkaFixture {
 protected:
  void SetUp() override {
    ::testing::FLAGS_gtest_death_test_style = "threadsafe";
    KafkaFixture::SetUp();
  }
};

constexpr std::size_t limit = 2000;

bool has_context(const HeaderList& headers) { return values_of(headers, "traceparent").size() == 1; }

// A header that lifts a message over message.max.bytes aborts the process, with every codec. The size check
// comes before on_send, so nothing in librdkafka prevents it.
class KafkaSizes : public KafkaTraps, public ::testing::WithParamInterface<const char*> {
 public:
  // The child: every message that librdkafka accepts is delivered, and those with room for it carry a
  // context.
  void send_every_size(bool with_baggage, bool with_headers) {
    std::string why;
    Context ambient;
    if (with_baggage) ambient.baggage = Baggage().with("tenant", std::string(300, 'b'));
    const Scope scope(ambient);
    {
      const Client client = make_producer({}, {{"message.max.bytes", std::to_string(limit)},
                                               {"compression.codec", GetParam()},
                                               {"linger.ms", "5"}});
      const std::string text(limit + 50, 'x');
      for (std::size_t size = limit - 900; size < limit + 20; ++size) {
        const std::string value = text.substr(0, size);
        Sent sent{.value = value.c_str(), .key = "key"};
        if (with_headers) sent.headers = {{"tenant", "blue"}, {"tracestate", std::string(100, 's')}};
        if (produce(client.get(), sent) != RD_KAFKA_RESP_ERR_NO_ERROR) break;
      }
      if (rd_kafka_flush(client.get(), 20000) != RD_KAFKA_RESP_ERR_NO_ERROR) std::_Exit(2);
    }
    int delivered = 0;
    int producers = 0;
    bool ordered = true;
    for (const testing::OwnedSpan& span : recorder_->spans()) {
      if (span.status == StatusCode::error) std::_Exit(3);
      ++delivered;
      if (span.kind == SpanKind::producer) ++producers;
    }
    const Client consumer = make_bare_consumer();
    int carried = 0;
    bool last_carried = true;
    for (int i = 0; i < delivered; ++i) {
      const OwnedMessage message = poll(consumer.get());
      if (message == nullptr) std::_Exit(4);
      const bool carries = has_context(headers_of(message.get()));
      ordered = ordered && (last_carried || !carries);  // sizes grow: once too large, always too large
      last_carried = carries;
      if (carries) ++carried;
    }
    if (!ordered || carried == 0 || carried == delivered || carried != producers) std::_Exit(5);
    if (recorder_->counters()[Counter::injection_skipped] !=
        static_cast<std::uint64_t>(delivered - carried)) {
      std::_Exit(6);
    }
    std::_Exit(0);
  }
};

TEST_P(KafkaSizes, NoMessageIsLiftedOverTheLimit) {
  EXPECT_EXIT(send_every_size(false, false), ::testing::ExitedWithCode(0), "");
}
TEST_P(KafkaSizes, NoMessageWithBaggageIsLiftedOverTheLimit) {
  EXPECT_EXIT(send_every_size(true, false), ::testing::ExitedWithCode(0), "");
}
TEST_P(KafkaSizes, NoMessageWithHeadersIsLiftedOverTheLimit) {
  EXPECT_EXIT(send_every_size(false, true), ::testing::ExitedWithCode(0), "");
}

TEST_P(KafkaSizes, NoMessageIsLiftedOverTheLimitByAllPropagatorsTogether) {
  const auto child = [this] {
    set_propagator(make_propagator("tracecontext,baggage,b3,b3multi,jaeger", [](std::string_view) {}));
    send_every_size(false, true);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(0), "");
}

INSTANTIATE_TEST_SUITE_P(Codecs, KafkaSizes, ::testing::Values("none", "gzip", "snappy", "lz4", "zstd"));

// The control of the tests above: an interceptor that adds its header without looking at the size aborts the
// process, in all versions up to 2.15. Where this fails, librdkafka may have learned to take such messages.
class KafkaSizeControl : public KafkaTraps, public ::testing::WithParamInterface<const char*> {
 public:
  // The child: sends messages up to the largest that librdkafka accepts.
  void send_up_to_the_limit(void (*add_interceptor)(rd_kafka_conf_t*)) {
    rd_kafka_conf_t* conf =
        configuration({{"message.max.bytes", std::to_string(limit)}, {"compression.codec", GetParam()}});
    add_interceptor(conf);
    const Client client = create(RD_KAFKA_PRODUCER, conf);
    const std::string text(limit, 'x');
    bool refused = false;
    for (std::size_t size = limit - 500; size <= limit && !refused; ++size) {
      const std::string value = text.substr(0, size);
      refused = produce(client.get(), {.value = value.c_str()}) != RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    if (!refused || rd_kafka_flush(client.get(), 20000) != RD_KAFKA_RESP_ERR_NO_ERROR) std::_Exit(2);
  }
  // With a context while there was room for one, and without one from there to the limit.
  void exit_if_all_are_sent() {
    std::set<SpanKind> kinds;
    for (const testing::OwnedSpan& span : recorder_->spans())
      kinds.insert(span.status == StatusCode::error ? SpanKind::internal : span.kind);
    std::_Exit(kinds == std::set<SpanKind>{SpanKind::producer, SpanKind::client} ? 0 : 3);
  }
  static void add_naive(rd_kafka_conf_t* conf) {
    rd_kafka_conf_interceptor_add_on_new(
        conf, "naive",
        [](rd_kafka_t* client, const rd_kafka_conf_t*, void*, char*, std::size_t) {
          return rd_kafka_interceptor_add_on_send(client, "naive", add_header, nullptr);
        },
        nullptr);
  }
  static void add_ours(rd_kafka_conf_t* conf) { kafka::instrument(conf); }

 private:
  static rd_kafka_resp_err_t add_header(rd_kafka_t*, rd_kafka_message_t* message, void*) {
    const std::string value(traceparent_length, '0');
    rd_kafka_headers_t* headers = rd_kafka_headers_new(1);
    rd_kafka_header_add(headers, "traceparent", -1, value.data(), static_cast<ssize_t>(value.size()));
    rd_kafka_message_set_headers(message, headers);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
  }
};

TEST_P(KafkaSizeControl, AHeaderOverTheLimitAbortsTheProcess) {
  EXPECT_EXIT(send_up_to_the_limit(add_naive), ::testing::KilledBySignal(SIGABRT), "msgset_writer");
}
TEST_P(KafkaSizeControl, OursAddsNoneThere) {
  const auto child = [this] {
    send_up_to_the_limit(add_ours);
    exit_if_all_are_sent();
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(0), "");
}

INSTANTIATE_TEST_SUITE_P(Codecs, KafkaSizeControl, ::testing::Values("none", "lz4"));

rd_kafka_conf_t* conf_that_fails() {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "security.protocol", "ssl", nullptr, 0);
  rd_kafka_conf_set(conf, "ssl.ca.location", "/nonexistent/ca.pem", nullptr, 0);
  rd_kafka_conf_set(conf, "log_level", "0", nullptr, 0);
  return conf;
}

TEST_F(KafkaTraps, CreateSurvivesAClientThatCannotBeMade) {
  const auto child = [] {
    char why[512] = "";
    for (int i = 0; i < 3; ++i) {
      if (kafka::create(RD_KAFKA_PRODUCER, conf_that_fails(), why, sizeof why) != nullptr) std::_Exit(2);
    }
    std::_Exit(std::string_view(why).find("ssl.ca.location") == std::string_view::npos ? 3 : 0);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(0), "");
}

// A limit of librdkafka below 2.13 that instrument() cannot lift: destroying the configuration afterwards
// crashes. Under ThreadSanitizer, whose allocator keeps freed memory readable, it happens to survive.
#ifndef MIDTRACE_TEST_THREAD_SANITIZER
TEST_F(KafkaTraps, AFailedNewAndADestroyedConfigurationCrashBefore_2_13) {
  const auto child = [] {
    rd_kafka_conf_t* conf = conf_that_fails();
    kafka::instrument(conf);
    char why[512] = "";
    if (rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why) != nullptr) std::_Exit(2);
    rd_kafka_conf_destroy(conf);
    std::_Exit(0);
  };
  if (rd_kafka_version() < 0x020d0000) {
    EXPECT_EXIT(
        child(), [](int status) { return !::testing::ExitedWithCode(0)(status); }, "");
  } else {
    EXPECT_EXIT(child(), ::testing::ExitedWithCode(0), "");
  }
}
#endif

TEST_F(KafkaTraps, CreateMakesATracedClient) {
  char why[512] = "";
  const Client producer(kafka::create(RD_KAFKA_PRODUCER, configuration(), why, sizeof why));
  ASSERT_NE(producer, nullptr) << why;
  ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
  deliver(producer.get());
  EXPECT_EQ(recorder_->spans().size(), 1U);
}

// Reports that come after on_destroy, and those that never come.
TEST_F(KafkaTraps, EverySendEndsExactlyOnceHoweverItsClientIsClosed) {
  constexpr int rounds = 20;
  constexpr int messages = 200;
  for (int round = 0; round < rounds; ++round) {
    const Client producer = make_producer();
    for (int i = 0; i < messages; ++i)
      ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    if (round % 2 == 0) rd_kafka_poll(producer.get(), round);
  }
  std::set<std::string> ids;
  const std::vector<testing::OwnedSpan> spans = recorder_->spans();
  for (const testing::OwnedSpan& span : spans)
    ids.insert(span.context.span_id.to_string());
  EXPECT_EQ(spans.size(), static_cast<std::size_t>(rounds * messages));
  EXPECT_EQ(ids.size(), spans.size());
}

TEST_F(KafkaTraps, ABatchMessageThatIsNeverReportedEndsWithItsClient) {
  {
    const Client producer = make_producer();
    learn_topic(producer.get(), "orders");
    rd_kafka_topic_t* topic = rd_kafka_topic_new(producer.get(), "orders", nullptr);
    rd_kafka_message_t message{};
    message.payload = const_cast<char*>("order");
    message.len = 5;
    message.partition = 9;
    {
      const LeakAllowed leak;
      EXPECT_EQ(rd_kafka_produce_batch(topic, 0, RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_PARTITION, &message, 1),
                0);
    }
    rd_kafka_topic_destroy(topic);
    EXPECT_TRUE(recorder_->spans().empty());
  }
  EXPECT_EQ(brief(), R"(
send orders PRODUCER
  status ERROR
  error.type = _DESTROY
)");
  EXPECT_EQ(recorder_->counters()[Counter::operations_lost], 1U);
}

// A partitioner that fails inside produce_batch(): the report names the application's array element.
std::int32_t no_partition(const rd_kafka_topic_t*, const void*, std::size_t, std::int32_t, void*, void*) {
  return 99;
}

class KafkaPartitioner : public KafkaTraps {
 protected:
  Client make_failing_producer() {
    rd_kafka_conf_t* conf = configuration({{"client.id", "checkout"}});
    EXPECT_TRUE(kafka::instrument(conf));
    rd_kafka_topic_conf_t* topic_conf = rd_kafka_topic_conf_new();
    rd_kafka_topic_conf_set_partitioner_cb(topic_conf, no_partition);
    rd_kafka_conf_set_default_topic_conf(conf, topic_conf);
    Client producer = create(RD_KAFKA_PRODUCER, conf);
    learn_topic(producer.get(), "orders");
    return producer;
  }
};

TEST_F(KafkaPartitioner, AFailureInsideProduceBatchEndsTheRightSpans) {
  const Client producer = make_failing_producer();
  rd_kafka_topic_t* topic = rd_kafka_topic_new(producer.get(), "orders", nullptr);
  rd_kafka_message_t messages[3]{};
  const char* keys = "abc";
  for (int i = 0; i < 3; ++i) {
    messages[i].payload = const_cast<char*>("order");
    messages[i].len = 5;
    messages[i].key = const_cast<char*>(keys + i);
    messages[i].key_len = 1;
  }
  EXPECT_EQ(rd_kafka_produce_batch(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, messages, 3), 0);
  EXPECT_EQ(kafka::Producer(producer.get())
                .produce_batch(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, messages, 3),
            0);
  rd_kafka_topic_destroy(topic);
  const std::vector<testing::OwnedSpan> spans = recorder_->spans();
  ASSERT_EQ(spans.size(), 6U);
  std::multiset<std::string> seen;
  for (const testing::OwnedSpan& span : spans) {
    EXPECT_EQ(span.attribute("error.type"), "_UNKNOWN_PARTITION");
    seen.insert(span.attribute("messaging.kafka.message.key"));
  }
  EXPECT_EQ(seen, (std::multiset<std::string>{"a", "a", "b", "b", "c", "c"}));
}

// The headers are the application's again when producev() fails, and must be as they were.
TEST_F(KafkaPartitioner, AfterAFailureTheApplicationsHeadersAreAsTheyWere) {
  const Client producer = make_failing_producer();
  const HeaderList before{{"tenant", "blue"}, {std::string("bytes"), std::string("\0\1\2", 3)}};
  rd_kafka_headers_t* headers = make_headers(before);
  for (int attempt = 0; attempt < 3; ++attempt) {
    EXPECT_EQ(rd_kafka_producev(producer.get(), RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_HEADERS(headers),
                                RD_KAFKA_V_END),
              RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION);
    EXPECT_EQ(list_headers(headers), before);
  }
  rd_kafka_headers_destroy(headers);
}

TEST_F(KafkaPartitioner, AfterAFailureAReplacedContextIsBackInTheHeaders) {
  const Client producer = make_failing_producer();
  const std::string malformed = "00-not-a-context";
  const HeaderList before{{"tenant", "blue"}, {"traceparent", malformed}, {"tracestate", "vendor=1"}};
  rd_kafka_headers_t* headers = make_headers(before);
  rd_kafka_header_add(headers, "traceparent", -1, nullptr, 0);
  EXPECT_EQ(rd_kafka_producev(producer.get(), RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_HEADERS(headers),
                              RD_KAFKA_V_END),
            RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION);
  HeaderList expected = before;
  expected.emplace_back("traceparent", "(null)");
  EXPECT_EQ(list_headers(headers), expected);
  rd_kafka_headers_destroy(headers);
}

TEST_F(KafkaPartitioner, UnsampledMessagesAreCleanedUpToo) {
  start_recorder({.sampler = always_off_sampler()});
  const Client producer = make_failing_producer();
  const HeaderList before{{"tenant", "blue"}};
  rd_kafka_headers_t* headers = make_headers(before);
  EXPECT_EQ(rd_kafka_producev(producer.get(), RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_HEADERS(headers),
                              RD_KAFKA_V_END),
            RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION);
  EXPECT_EQ(list_headers(headers), before);
  rd_kafka_headers_destroy(headers);
}

TEST_F(KafkaTraps, HeadersAreChangedInPlaceAndNeverTwice) {
  const Client producer = make_producer();
  ASSERT_EQ(
      produce(producer.get(), {.headers = {{"tenant", "blue"}, {"traceparent", "x"}, {"traceparent", "y"}}}),
      RD_KAFKA_RESP_ERR_NO_ERROR);
  deliver(producer.get());
  const Client consumer = make_bare_consumer();
  const OwnedMessage message = poll(consumer.get());
  EXPECT_EQ(headers_of(message.get()),
            (HeaderList{{"tenant", "blue"}, {"traceparent", traceparent(recorder_->spans().at(0).context)}}));
}

// Interceptors are not copied with a configuration; ours are.
TEST_F(KafkaTraps, CopiesOfAConfigurationAndTheirCopiesAreInstrumented) {
  rd_kafka_conf_t* original = configuration({{"client.id", "original"}});
  ASSERT_TRUE(kafka::instrument(original, {.capture_message_key = false}));
  rd_kafka_conf_t* copy = rd_kafka_conf_dup(original);
  rd_kafka_conf_t* copy_of_copy = rd_kafka_conf_dup(copy);
  rd_kafka_conf_t* unused = rd_kafka_conf_dup(copy_of_copy);
  rd_kafka_conf_set(copy, "client.id", "copy", nullptr, 0);
  rd_kafka_conf_set(copy_of_copy, "client.id", "copy of copy", nullptr, 0);
  rd_kafka_conf_destroy(unused);
  {
    const Client first = create(RD_KAFKA_PRODUCER, copy_of_copy);
    const Client second = create(RD_KAFKA_PRODUCER, copy);
    const Client third = create(RD_KAFKA_PRODUCER, original);
    for (const Client* client : {&first, &second, &third}) {
      ASSERT_EQ(produce(client->get(), {.key = "k"}), RD_KAFKA_RESP_ERR_NO_ERROR);
      deliver(client->get());
    }
  }
  std::set<std::string> clients;
  for (const testing::OwnedSpan& span : recorder_->spans()) {
    clients.insert(span.attribute("messaging.client.id"));
    EXPECT_EQ(span.attribute("messaging.kafka.message.key"), "") << "copies share the options";
  }
  EXPECT_EQ(clients, (std::set<std::string>{"original", "copy", "copy of copy"}));
}

TEST_F(KafkaTraps, InstrumentingTwiceTracesOnce) {
  rd_kafka_conf_t* conf = configuration();
  EXPECT_TRUE(kafka::instrument(conf));
  EXPECT_TRUE(kafka::instrument(conf));
  const Client producer = create(RD_KAFKA_PRODUCER, conf);
  ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
  deliver(producer.get());
  EXPECT_EQ(recorder_->spans().size(), 1U);
  EXPECT_FALSE(kafka::instrument(static_cast<rd_kafka_conf_t*>(nullptr)));
}

// on_consume has no bracket and the headers may be gone later: the wrapper brackets, and reads them when they
// come.
TEST_F(KafkaTraps, TheWrapperReadsContextsBeforeTheApplicationDetachesTheHeaders) {
  {
    const Client producer = make_producer();
    ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
  }
  {
    const Client consumer = make_consumer();
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    rd_kafka_headers_t* headers = nullptr;
    ASSERT_EQ(rd_kafka_message_detach_headers(message.get(), &headers), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_headers_destroy(headers);
    const auto processing = kafka::process(message);
  }
  EXPECT_EQ(tree({.attributes = false}), R"(
poll orders CLIENT
  link -> send orders
send orders PRODUCER
  process orders CONSUMER
    link -> send orders
)");
}

TEST_F(KafkaTraps, APollSpanOfTheWrapperLastsAsLongAsTheCall) {
  start_recorder({.real_clock = true});
  {
    const Client producer = make_producer();
    ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
  }
  const auto before = std::chrono::steady_clock::now();
  {
    const Client consumer = make_consumer();
    ASSERT_TRUE(kafka::consume(consumer.get(), 10s));
  }
  const auto most = std::chrono::steady_clock::now() - before;
  for (const testing::OwnedSpan& span : recorder_->spans()) {
    if (span.kind != SpanKind::client) continue;
    const auto length = std::chrono::nanoseconds(span.end_unix_nanos - span.start_unix_nanos);
    EXPECT_GT(length, 0ns);
    EXPECT_LT(length, most);
  }
}

// librdkafka calls on_consume for each message that goes into a batch, and takes messages out again when a
// seek or an assignment makes them outdated before the call returns: more calls than messages.
class KafkaTakenBack : public KafkaTraps {
 protected:
  static constexpr int before = 100;  // read, taken back, and read again
  static constexpr int after = 50;
  static constexpr std::size_t delivered = before + after;
  static constexpr int calls = before + before + after;

  void SetUp() override {
    KafkaTraps::SetUp();
    producer_ = make_producer();
    send(before);
  }
  void TearDown() override {
    producer_.reset();
    KafkaTraps::TearDown();
  }

  void send(int count) {
    for (int i = 0; i < count; ++i)
      ASSERT_EQ(produce(producer_.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer_.get());
  }

  // An instrumented consumer that counts calls of on_consume.
  Client make_counting_consumer() {
    rd_kafka_conf_t* conf = consumer_configuration();
    EXPECT_TRUE(kafka::instrument(conf));
    rd_kafka_conf_interceptor_add_on_new(
        conf, "count",
        [](rd_kafka_t* client, const rd_kafka_conf_t*, void* counter, char*, std::size_t) {
          return rd_kafka_interceptor_add_on_consume(
              client, "count",
              [](rd_kafka_t*, rd_kafka_message_t*, void* counted) {
                ++*static_cast<std::atomic<int>*>(counted);
                return RD_KAFKA_RESP_ERR_NO_ERROR;
              },
              counter);
        },
        &calls_);
    return assigned(create(RD_KAFKA_CONSUMER, conf), {"orders"}, 1);
  }

  // Does `take_back` on another thread once the batch call holds all messages there are. The call waits for
  // more, which are sent when it holds the first ones again.
  template <class TakeBack>
  std::thread meanwhile(rd_kafka_t* consumer, TakeBack take_back) {
    return std::thread([this, consumer, take_back] {
      wait_for_calls(before);
      take_back(consumer);
      wait_for_calls(2 * before);
      send(after);
    });
  }
  void wait_for_calls(int count) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (calls_.load() < count) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "only " << calls_.load() << " of " << count;
      std::this_thread::yield();
    }
  }

  static void seek_back(rd_kafka_t* consumer) {
    rd_kafka_topic_partition_list_t* list = the_beginning();
    rd_kafka_error_t* error = rd_kafka_seek_partitions(consumer, list, 10000);
    EXPECT_EQ(error, nullptr) << rd_kafka_error_string(error);
    rd_kafka_topic_partition_list_destroy(list);
  }
  // As a rebalance does.
  static void assign_again(rd_kafka_t* consumer) {
    rd_kafka_topic_partition_list_t* list = the_beginning();
    EXPECT_EQ(rd_kafka_assign(consumer, list), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
  }
  static rd_kafka_topic_partition_list_t* the_beginning() {
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "orders", 0)->offset = 0;
    return list;
  }

  std::vector<testing::OwnedSpan> spans_of(SpanKind kind) {
    std::vector<testing::OwnedSpan> spans = recorder_->spans();
    std::erase_if(spans, [kind](const testing::OwnedSpan& span) { return span.kind != kind; });
    return spans;
  }
  // One span for the messages that were delivered: each send is linked once.
  void expect_each_send_linked_once(SpanKind kind) {
    std::multiset<std::string> sent;
    for (const testing::OwnedSpan& span : spans_of(SpanKind::producer))
      sent.insert(span.context.span_id.to_string());
    EXPECT_EQ(sent.size(), delivered);
    const std::vector<testing::OwnedSpan> spans = spans_of(kind);
    ASSERT_EQ(spans.size(), 1U);
    EXPECT_EQ(spans[0].attribute("messaging.batch.message_count"), std::to_string(delivered));
    std::multiset<std::string> linked;
    for (const testing::OwnedLink& link : spans[0].links)
      linked.insert(link.context.span_id.to_string());
    EXPECT_EQ(linked, sent);
  }

  Client producer_;
  std::atomic<int> calls_{0};
};

TEST_F(KafkaTakenBack, APollSpanIsLeftOfEachMessageThatASeekTakesBack_Interceptors) {
  {
    const Client consumer = make_counting_consumer();
    std::thread seeker = meanwhile(consumer.get(), seek_back);
    rd_kafka_queue_t* queue = rd_kafka_queue_get_consumer(consumer.get());
    std::vector<rd_kafka_message_t*> batch(delivered);
    EXPECT_EQ(rd_kafka_consume_batch_queue(queue, 20000, batch.data(), batch.size()),
              static_cast<ssize_t>(delivered));
    seeker.join();
    rd_kafka_queue_destroy(queue);
    for (rd_kafka_message_t* received : batch) {
      const OwnedMessage message(received);
      const auto processing = kafka::process(consumer.get(), message.get());
    }
  }
  EXPECT_EQ(calls_.load(), calls) << "nothing was taken back inside the call";
  EXPECT_EQ(spans_of(SpanKind::client).size(), static_cast<std::size_t>(calls));
  EXPECT_EQ(spans_of(SpanKind::consumer).size(), delivered);
}

TEST_F(KafkaTakenBack, OnlyDeliveredMessagesAreLinkedAndCountedAfterASeek_Wrapper) {
  {
    const Client consumer = make_counting_consumer();
    std::thread seeker = meanwhile(consumer.get(), seek_back);
    const kafka::Batch batch = consume_exactly(consumer.get(), delivered);
    seeker.join();
    const auto processing = kafka::process(batch);
  }
  EXPECT_EQ(calls_.load(), calls) << "nothing was taken back inside the call";
  expect_each_send_linked_once(SpanKind::client);
  expect_each_send_linked_once(SpanKind::consumer);
}

TEST_F(KafkaTakenBack, OnlyDeliveredMessagesAreLinkedAndCountedAfterANewAssignment_Wrapper) {
  {
    const Client consumer = make_counting_consumer();
    std::thread rebalance = meanwhile(consumer.get(), assign_again);
    const kafka::Batch batch = consume_exactly(consumer.get(), delivered);
    rebalance.join();
    const auto processing = kafka::process(batch);
  }
  EXPECT_EQ(calls_.load(), calls) << "nothing was taken back inside the call";
  expect_each_send_linked_once(SpanKind::client);
  expect_each_send_linked_once(SpanKind::consumer);
}

// Under the topic's lock, with a client whose name is not known yet.
TEST_F(KafkaTraps, TheFirstSendMayComeUnderTheTopicsLock) {
  rd_kafka_conf_t* conf = configuration();
  ASSERT_TRUE(kafka::instrument(conf));
  const Client producer = create(RD_KAFKA_PRODUCER, conf);
  learn_topic(producer.get(), "orders");
  rd_kafka_topic_t* topic = rd_kafka_topic_new(producer.get(), "orders", nullptr);
  rd_kafka_message_t message{};
  message.payload = const_cast<char*>("order");
  message.len = 5;
  EXPECT_EQ(rd_kafka_produce_batch(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, &message, 1), 1);
  deliver(producer.get());
  rd_kafka_topic_destroy(topic);
  ASSERT_EQ(recorder_->spans().size(), 1U);
  EXPECT_EQ(recorder_->spans()[0].attribute("messaging.client.id"), rd_kafka_name(producer.get()));
}

// Threads that send and end, with spans that start after their thread-local state is gone.
TEST_F(KafkaTraps, ASendFromAThreadKeysDestructorIsTraced) {
  static rd_kafka_t* shared = nullptr;
  const Client producer = make_producer();
  shared = producer.get();
  pthread_key_t key;
  ASSERT_EQ(pthread_key_create(&key, [](void*) { produce(shared, {.key = "late"}); }), 0);
  std::thread([&] {
    ASSERT_EQ(produce(shared, {.key = "early"}), RD_KAFKA_RESP_ERR_NO_ERROR);
    pthread_setspecific(key, &key);
  }).join();
  pthread_key_delete(key);
  deliver(producer.get());
  std::set<std::string> keys;
  for (const testing::OwnedSpan& span : recorder_->spans())
    keys.insert(span.attribute("messaging.kafka.message.key"));
  EXPECT_EQ(keys, (std::set<std::string>{"early", "late"}));
}

TEST_F(KafkaTraps, SeveralThreadsMaySendThroughOneClient) {
  constexpr int threads = 4;
  constexpr int messages = 500;
  const Client producer = make_producer();
  std::vector<std::thread> senders;
  for (int t = 0; t < threads; ++t) {
    senders.emplace_back([&] {
      for (int i = 0; i < messages; ++i)
        EXPECT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    });
  }
  for (std::thread& sender : senders)
    sender.join();
  deliver(producer.get());
  EXPECT_EQ(recorder_->spans().size(), static_cast<std::size_t>(threads * messages));
  EXPECT_EQ(recorder_->counters().dropped_spans(), 0U);
  EXPECT_EQ(recorder_->counters()[Counter::operations_lost], 0U);
}

// A plugin's properties exist from plugin.library.paths on: programs that set them in another order, by name
// for one, have to use the environment.
TEST_F(KafkaTraps, APropertyOfThePluginIsUnknownBeforeThePlugin) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char why[512] = "";
  EXPECT_EQ(rd_kafka_conf_set(conf, "midtrace.service.name", "checkout", why, sizeof why),
            RD_KAFKA_CONF_UNKNOWN);
  // instrument() is not the plugin, and adds no properties.
  EXPECT_TRUE(kafka::instrument(conf));
  EXPECT_EQ(rd_kafka_conf_set(conf, "midtrace.service.name", "checkout", why, sizeof why),
            RD_KAFKA_CONF_UNKNOWN);
  rd_kafka_conf_destroy(conf);
}

// Otherwise silence would mean nothing: librdkafka makes its threads by C11 calls, which the tests replace.
#ifdef MIDTRACE_TEST_THREAD_SANITIZER
TEST_F(KafkaTraps, ThreadSanitizerSeesARaceWithAThreadOfLibrdkafka) {
  const auto child = [this] {
    static int shared = 0;
    rd_kafka_conf_t* conf = configuration();
    rd_kafka_conf_interceptor_add_on_new(
        conf, "race",
        [](rd_kafka_t* client, const rd_kafka_conf_t*, void*, char*, std::size_t) {
          return rd_kafka_interceptor_add_on_acknowledgement(
              client, "race",
              [](rd_kafka_t*, rd_kafka_message_t*, void*) {
                ++shared;
                return RD_KAFKA_RESP_ERR_NO_ERROR;
              },
              nullptr);
        },
        nullptr);
    const Client client = create(RD_KAFKA_PRODUCER, conf);
    for (int i = 0; i < 100; ++i) {
      produce(client.get());
      ++shared;
      rd_kafka_poll(client.get(), 1);
    }
    deliver(client.get());
    std::exit(0);  // ThreadSanitizer's exit code, when it has seen something
  };
  EXPECT_EXIT(
      child(), [](int status) { return !::testing::ExitedWithCode(0)(status); }, "data race");
}
#endif

}  // namespace
}  // namespace midtrace::test

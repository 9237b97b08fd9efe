// What a traced produce call allocates, against a call with one header added by hand. Only this thread's
// allocations are counted, and malloc itself is, because librdkafka's and ours must be compared by the same
// measure. There is no broker: messages are purged.

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <cstddef>
#include <memory>
#include <utility>

#include <midtrace/kafka.h>
#include <midtrace/propagation/propagator.h>
#include <midtrace/testing/testing.h>

// librdkafka's RD_KAFKA_V_ macros are GNU statement expressions.
#ifdef __clang__
#pragma clang diagnostic ignored "-Wgnu-statement-expression"
#endif

// Sanitizers replace malloc themselves.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MIDTRACE_TEST_SANITIZED
#endif
#endif
#else
#define MIDTRACE_TEST_SANITIZED
#endif

#ifndef MIDTRACE_TEST_SANITIZED

namespace {
thread_local std::size_t allocations = 0;
}

extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);

void* malloc(std::size_t size) {
  ++allocations;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  ++allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) {
  ++allocations;
  return __libc_realloc(memory, size);
}
}

namespace midtrace {
namespace {

struct DestroyClient {
  void operator()(rd_kafka_t* client) const { rd_kafka_destroy(client); }
};
using OwnedClient = std::unique_ptr<rd_kafka_t, DestroyClient>;

OwnedClient make_producer(bool instrumented, kafka::Options options = {}) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", "127.0.0.1:1", nullptr, 0);
  rd_kafka_conf_set(conf, "log_level", "0", nullptr, 0);
  if (instrumented) {
    EXPECT_TRUE(kafka::instrument(conf, std::move(options)));
  }
  OwnedClient client(rd_kafka_new(RD_KAFKA_PRODUCER, conf, nullptr, 0));
  EXPECT_NE(client, nullptr);
  return client;
}

enum class Headers { none, by_hand };

// Allocations of this thread in one call, when the client and the thread have been in use for a while.
double allocations_per_send(rd_kafka_t* client, Headers headers) {
  rd_kafka_topic_t* topic = rd_kafka_topic_new(client, "orders", nullptr);
  char value[] = "order";
  constexpr int warm_up = 2000;
  constexpr int measured = 1000;
  std::size_t before = 0;
  for (int i = 0; i < warm_up + measured; ++i) {
    if (i == warm_up) {
      rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE);
      rd_kafka_flush(client, 1000);
      before = allocations;
    }
    const rd_kafka_resp_err_t error =
        headers == Headers::by_hand
            ? rd_kafka_producev(
                  client, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_VALUE(value, 5), RD_KAFKA_V_HEADERS([] {
                    rd_kafka_headers_t* list = rd_kafka_headers_new(1);
                    rd_kafka_header_add(list, "traceparent", 11,
                                        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", 55);
                    return list;
                  }()),
                  RD_KAFKA_V_END)
            : rd_kafka_producev(client, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_VALUE(value, 5), RD_KAFKA_V_END);
    EXPECT_EQ(error, RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  const double result = static_cast<double>(allocations - before) / measured;
  rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE);
  rd_kafka_flush(client, 1000);
  rd_kafka_topic_destroy(topic);
  return result;
}

TEST(KafkaAllocations, AnUnsampledSendAllocatesWhatAHandAddedHeaderDoes) {
  testing::Recorder recorder({.sampler = always_off_sampler()});
  const OwnedClient bare = make_producer(false);
  const OwnedClient traced = make_producer(true);
  const double by_hand = allocations_per_send(bare.get(), Headers::by_hand);
  EXPECT_GT(by_hand, allocations_per_send(bare.get(), Headers::none)) << "the count counts";
  EXPECT_LE(allocations_per_send(traced.get(), Headers::none), by_hand);
}

TEST(KafkaAllocations, PatternsForTopicsCostNone) {
  testing::Recorder recorder({.sampler = always_off_sampler()});
  const OwnedClient bare = make_producer(false);
  const double none = allocations_per_send(bare.get(), Headers::none);
  const double by_hand = allocations_per_send(bare.get(), Headers::by_hand);
  const OwnedClient others =
      make_producer(true, {.untraced_topics = {"audit.*"}, .unpropagated_topics = {"*.legacy", "metrics"}});
  EXPECT_LE(allocations_per_send(others.get(), Headers::none), by_hand);
  const OwnedClient unpropagated = make_producer(true, {.unpropagated_topics = {"ord*"}});
  EXPECT_LE(allocations_per_send(unpropagated.get(), Headers::none), none);
  const OwnedClient neither =
      make_producer(true, {.untraced_topics = {"orders"}, .unpropagated_topics = {"orders"}});
  EXPECT_LE(allocations_per_send(neither.get(), Headers::none), none);
}

}  // namespace
}  // namespace midtrace

#endif

// checkout: takes orders and produces them to Kafka, through librdkafka's C API.
//
// midtrace's part is three lines: setup() in main, instrument() on the configuration, and the spans of the
// application's own work. Everything else is what such a program looks like without tracing.
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include <midtrace/kafka.h>
#include <midtrace/setup.h>
#include <midtrace/trace/tracer.h>

#include "pipeline.h"

using namespace std::chrono_literals;

namespace {

constexpr midtrace::AttributeKey<std::int64_t> order_id{"order.id"};

// librdkafka's own broker, which speaks the real protocol on a loopback port of this process.
class EmbeddedBroker {
 public:
  EmbeddedBroker() {
    char error[256];
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "3", nullptr, 0);  // it is no client, and need not say so
    handle_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error)));
    if (handle_ == nullptr) pipeline::fail(std::string("The embedded broker did not start: ") + error + ".");
    cluster_.reset(rd_kafka_mock_cluster_new(handle_.get(), 1));
    if (cluster_ == nullptr)
      pipeline::fail("The embedded broker did not start; is loopback networking available?");
    rd_kafka_mock_topic_create(cluster_.get(), pipeline::orders_topic, 1, 1);
    rd_kafka_mock_topic_create(cluster_.get(), pipeline::bulk_orders_topic, 1, 1);
  }
  std::string bootstrap() const { return rd_kafka_mock_cluster_bootstraps(cluster_.get()); }

 private:
  struct Destroy {
    void operator()(rd_kafka_t* handle) const { rd_kafka_destroy(handle); }
    void operator()(rd_kafka_mock_cluster_t* cluster) const { rd_kafka_mock_cluster_destroy(cluster); }
  };
  std::unique_ptr<rd_kafka_t, Destroy> handle_;
  std::unique_ptr<rd_kafka_mock_cluster_t, Destroy> cluster_;
};

class OrderProducer {
 public:
  explicit OrderProducer(const std::string& bootstrap) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    char error[256];
    if (rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap.c_str(), error, sizeof(error)) !=
            RD_KAFKA_CONF_OK ||
        rd_kafka_conf_set(conf, "client.id", "checkout", error, sizeof(error)) != RD_KAFKA_CONF_OK ||
        rd_kafka_conf_set(conf, "linger.ms", "5", error, sizeof(error)) != RD_KAFKA_CONF_OK) {
      pipeline::fail(std::string("The producer's configuration was refused: ") + error + ".");
    }
    handle_ = midtrace::kafka::create(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
    if (handle_ == nullptr) pipeline::fail(std::string("The producer could not be made: ") + error + ".");
  }
  ~OrderProducer() { rd_kafka_destroy(handle_); }

  // Where the topic ends now, which is where this run begins.
  std::int64_t end_of(const char* topic) {
    std::int64_t low = 0;
    std::int64_t high = 0;
    // A broker that creates topics on first use may need a moment.
    for (int attempt = 0; attempt < 20; ++attempt) {
      if (rd_kafka_query_watermark_offsets(handle_, topic, pipeline::partition, &low, &high, 2000) ==
          RD_KAFKA_RESP_ERR_NO_ERROR) {
        return high;
      }
      std::this_thread::sleep_for(250ms);
    }
    pipeline::fail(std::string("Topic \"") + topic + "\" cannot be reached; is the bootstrap address right?");
  }

  void send(const char* topic, const std::string& key, const std::string& body) {
    // __extension__: librdkafka's macros are GNU statement expressions, of which clang warns under
    // -Wpedantic.
    const rd_kafka_resp_err_t error = __extension__ rd_kafka_producev(
        handle_, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(pipeline::partition),
        RD_KAFKA_V_KEY(key.data(), key.size()), RD_KAFKA_V_VALUE(const_cast<char*>(body.data()), body.size()),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      pipeline::fail("An order was refused: " + std::string(rd_kafka_err2str(error)) + ".");
    }
    rd_kafka_poll(handle_, 0);
  }

  void flush() {
    if (rd_kafka_flush(handle_, 30000) != RD_KAFKA_RESP_ERR_NO_ERROR)
      pipeline::fail("Orders were not delivered.");
  }

 private:
  rd_kafka_t* handle_ = nullptr;
};

void place_order(const midtrace::Tracer& tracer, OrderProducer& producer, std::uint64_t order) {
  midtrace::Span placing = tracer.start("place order", {.kind = midtrace::SpanKind::server});
  placing.set(order_id, static_cast<std::int64_t>(order));
  const midtrace::Scope current = placing.activate();
  {
    midtrace::Span charging = tracer.start("charge card");
    std::this_thread::sleep_for(std::chrono::microseconds(300 + order % 5 * 400));
  }
  producer.send(pipeline::is_bulk(order) ? pipeline::bulk_orders_topic : pipeline::orders_topic,
                "customer-" + std::to_string(order % 4), std::to_string(order));
}

}  // namespace

int main(int count, char** values) {
  const pipeline::Arguments arguments = pipeline::parse_arguments(count, values);
  auto telemetry = midtrace::setup({.service_name = "checkout"});
  const midtrace::Tracer tracer = midtrace::Tracer::get("checkout");

  std::unique_ptr<EmbeddedBroker> broker;
  if (arguments.bootstrap.empty()) broker = std::make_unique<EmbeddedBroker>();
  pipeline::Start start;
  start.bootstrap = broker != nullptr ? broker->bootstrap() : arguments.bootstrap;

  OrderProducer producer(start.bootstrap);
  for (const char* topic : {pipeline::orders_topic, pipeline::bulk_orders_topic}) {
    start.offsets[topic] = producer.end_of(topic);
  }
  pipeline::write_start(arguments.start_file, start);

  for (std::uint64_t order = 1; order <= arguments.orders; ++order) {
    place_order(tracer, producer, order);
    // Customers come at their own pace, until there are very many of them.
    if (arguments.orders <= 100) std::this_thread::sleep_for(4ms);
  }
  producer.flush();
  std::printf("checkout: %llu orders placed\n", static_cast<unsigned long long>(arguments.orders));

  // The embedded broker lives in this process: stay until fulfilment has read everything.
  while (!std::filesystem::exists(arguments.start_file + ".done"))
    std::this_thread::sleep_for(20ms);
  return telemetry.flush() ? 0 : 1;
}

// fulfilment: consumes orders from Kafka, through librdkafka's C++ API: some one by one, some in batches.
//
// midtrace's part: setup(), instrument(), consume() and consume_batch() in place of the library's own calls,
// and process() around the work.
#include <librdkafka/rdkafkacpp.h>

#include <chrono>
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

std::unique_ptr<RdKafka::KafkaConsumer> make_consumer(const pipeline::Start& start, const char* topic) {
  const std::unique_ptr<RdKafka::Conf> conf(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
  std::string error;
  if (conf->set("bootstrap.servers", start.bootstrap, error) != RdKafka::Conf::CONF_OK ||
      conf->set("group.id", "fulfilment", error) != RdKafka::Conf::CONF_OK ||
      conf->set("client.id", "fulfilment", error) != RdKafka::Conf::CONF_OK ||
      conf->set("enable.auto.commit", "false", error) != RdKafka::Conf::CONF_OK ||
      conf->set("fetch.wait.max.ms", "20", error) != RdKafka::Conf::CONF_OK) {
    pipeline::fail("The consumer's configuration was refused: " + error + ".");
  }
  midtrace::kafka::instrument(*conf);
  std::unique_ptr<RdKafka::KafkaConsumer> consumer(RdKafka::KafkaConsumer::create(conf.get(), error));
  if (consumer == nullptr) pipeline::fail("The consumer could not be made: " + error + ".");
  const auto offset = start.offsets.find(topic);
  const std::unique_ptr<RdKafka::TopicPartition> place(RdKafka::TopicPartition::create(
      topic, pipeline::partition,
      offset != start.offsets.end() ? offset->second : RdKafka::Topic::OFFSET_BEGINNING));
  if (consumer->assign({place.get()}) != RdKafka::ERR_NO_ERROR)
    pipeline::fail("The partition cannot be assigned.");
  return consumer;
}

std::uint64_t order_in(const RdKafka::Message& message) {
  return std::stoull(std::string(static_cast<const char*>(message.payload()), message.len()));
}

class Fulfilment {
 public:
  explicit Fulfilment(const pipeline::Start& start)
      : orders_(make_consumer(start, pipeline::orders_topic)),
        bulk_orders_(make_consumer(start, pipeline::bulk_orders_topic)) {}

  // The next order, if one is there. Returns how many were handled.
  std::uint64_t handle_next() {
    const auto message = midtrace::kafka::consume(*orders_, 50ms);
    if (message->err() != RdKafka::ERR_NO_ERROR) return 0;
    auto processing = midtrace::kafka::process(message);
    const std::uint64_t order = order_in(*message);
    processing.span().set(order_id, static_cast<std::int64_t>(order));
    {
      midtrace::Span reserving = tracer_.start("reserve stock");
      std::this_thread::sleep_for(std::chrono::microseconds(200 + order % 3 * 300));
      if (pipeline::is_out_of_stock(order)) {
        reserving.set_error("OutOfStock");
        processing.set_error("OutOfStock");
        return 1;
      }
    }
    const midtrace::Span packing = tracer_.start("pack parcel");
    std::this_thread::sleep_for(400us);
    return 1;
  }

  // A lorry's load of bulk orders, if there are any.
  std::uint64_t handle_load(std::size_t largest) {
    const auto batch = midtrace::kafka::consume_batch(*bulk_orders_, largest, 100ms);
    if (batch.empty()) return 0;
    auto processing = midtrace::kafka::process(batch);
    const midtrace::Span planning = tracer_.start("plan route");
    std::uint64_t handled = 0;
    for (const auto& message : batch) {
      if (message->err() == RdKafka::ERR_NO_ERROR) ++handled;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1) + handled * 100us);
    return handled;
  }

  void close() {
    orders_->close();
    bulk_orders_->close();
  }

 private:
  midtrace::Tracer tracer_ = midtrace::Tracer::get("fulfilment");
  std::unique_ptr<RdKafka::KafkaConsumer> orders_;
  std::unique_ptr<RdKafka::KafkaConsumer> bulk_orders_;
};

}  // namespace

int main(int count, char** values) {
  const pipeline::Arguments arguments = pipeline::parse_arguments(count, values);
  auto telemetry = midtrace::setup({.service_name = "fulfilment"});

  Fulfilment fulfilment(pipeline::read_start(arguments.start_file));
  std::uint64_t bulk_left = pipeline::bulk_count(arguments.orders);
  std::uint64_t single_left = arguments.orders - bulk_left;
  const auto deadline = std::chrono::steady_clock::now() + 30s + arguments.orders * 10ms;
  while (single_left + bulk_left > 0) {
    if (std::chrono::steady_clock::now() > deadline) {
      pipeline::fail(std::to_string(single_left + bulk_left) + " orders did not arrive in time.");
    }
    while (single_left > 0) {
      const std::uint64_t handled = fulfilment.handle_next();
      if (handled == 0) break;
      single_left -= handled;
    }
    if (bulk_left > 0) bulk_left -= fulfilment.handle_load(50);
  }
  fulfilment.close();
  std::printf("fulfilment: %llu orders handled\n", static_cast<unsigned long long>(arguments.orders));
  return telemetry.flush() ? 0 : 1;
}

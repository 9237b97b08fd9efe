// A program that has midtrace::kafka: a message to librdkafka's own broker gets its `send` span.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include <midtrace/kafka.h>
#include <midtrace/setup.h>

int main() {
  const std::string path = "consumer-kafka-" + std::to_string(getpid()) + ".jsonl";
  setenv("OTEL_TRACES_EXPORTER", "otlp_file", 1);
  setenv("MIDTRACE_OTLP_FILE", path.c_str(), 1);
  bool delivered = false;
  {
    auto telemetry = midtrace::setup({.service_name = "consumer"});
    char error[256];
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", error, sizeof error);
    if (!midtrace::kafka::instrument(conf)) return 1;
    rd_kafka_t* producer = midtrace::kafka::create(RD_KAFKA_PRODUCER, conf, error, sizeof error);
    if (producer == nullptr) {
      std::fprintf(stderr, "no producer: %s\n", error);
      return 1;
    }
    rd_kafka_producev(producer, RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_VALUE(const_cast<char*>("one"), 3),
                      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    delivered = rd_kafka_flush(producer, 20000) == RD_KAFKA_RESP_ERR_NO_ERROR;
    midtrace::kafka::take_statistics(producer, "{\"ts\": 1}", 9);
    const auto statistics = midtrace::kafka::statistics(producer);
    delivered = delivered && statistics != nullptr && statistics->ts == 1;
    rd_kafka_destroy(producer);
  }
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::remove(path.c_str());
  if (!delivered || text.find("\"send orders\"") == std::string::npos) {
    std::fprintf(stderr, "delivered: %d, spans: \"%s\"\n", delivered ? 1 : 0, text.c_str());
    return 1;
  }
  return 0;
}

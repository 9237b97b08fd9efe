// A Kafka producer whose program traces by itself, and loads the plugin besides.
//
//   traced_client bare|instrumented <name=value>...
//
// It sends three messages below a span of its own. OTEL_* says where its spans go.
#include <librdkafka/rdkafka.h>

#include <cstdio>
#include <string>
#include <string_view>

#include <midtrace/kafka/instrument.h>
#include <midtrace/setup.h>
#include <midtrace/trace/tracer.h>

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const auto telemetry = midtrace::setup({.service_name = "traced"});
  if (!telemetry.ok()) return 8;
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char error[512];
  for (int i = 2; i < argc; ++i) {
    const std::string_view pair(argv[i]);
    const std::size_t equals = pair.find('=');
    if (rd_kafka_conf_set(conf, std::string(pair.substr(0, equals)).c_str(),
                          std::string(pair.substr(equals + 1)).c_str(), error,
                          sizeof error) != RD_KAFKA_CONF_OK) {
      std::fprintf(stderr, "%s\n", error);
      return 3;
    }
  }
  if (std::string_view(argv[1]) == "instrumented") midtrace::kafka::instrument(conf);
  rd_kafka_t* client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
  if (client == nullptr) return 4;
  {
    const midtrace::Span order = midtrace::Tracer::get("shop").start("order");
    const midtrace::Scope scope = order.activate();
    for (int i = 0; i < 3; ++i) {
      char value[] = "order";
      if (rd_kafka_producev(client, RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_PARTITION(0),
                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE(value, 5),
                            RD_KAFKA_V_HEADER("own", "header", 6),
                            RD_KAFKA_V_END) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 5;
    }
    rd_kafka_flush(client, 20000);
  }
  rd_kafka_destroy(client);
  return 0;
}

#include <midtrace/kafka/statistics.h>

#include <string>

#include "client.h"
#include "statistics.h"

#include <midtrace/trace/counters.h>
#include <midtrace/trace/instrumentation.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {

namespace detail {

namespace {

int keep_statistics(rd_kafka_t* client, char* json, std::size_t length, void*) {
  take_statistics(client, json, length);
  return 0;  // librdkafka frees the text
}

}  // namespace

void keep_unclaimed_statistics(rd_kafka_conf_t* conf) noexcept {
  char value[64];
  std::size_t size = sizeof value;
  if (rd_kafka_conf_get(conf, "statistics.interval.ms", value, &size) != RD_KAFKA_CONF_OK ||
      std::string_view(value) == "0")
    return;
  size = sizeof value;
  if (rd_kafka_conf_get(conf, "stats_cb", value, &size) == RD_KAFKA_CONF_OK) return;
  rd_kafka_conf_set_stats_cb(conf, keep_statistics);
}

}  // namespace detail

void take_statistics(rd_kafka_t* client, const char* json, std::size_t length) noexcept {
  if (client == nullptr || json == nullptr) return;
  try {
    if (length > max_statistics_bytes) {
      count(Counter::statistics_dropped);
      report(Severity::warning, "kafka.statistics_size",
             "The statistics of a Kafka client have " + std::to_string(length) +
                 " bytes, and midtrace reads at most " + std::to_string(max_statistics_bytes) +
                 "; they were passed over.");
      return;
    }
    if (const auto known = detail::find_or_add_client(client); known != nullptr)
      known->kept_statistics().take({json, length});
  } catch (...) {
    count(Counter::statistics_dropped);
  }
}

std::shared_ptr<const Statistics> statistics(rd_kafka_t* client) noexcept {
  if (client == nullptr) return nullptr;
  const auto known = detail::find_or_add_client(client);
  if (known == nullptr) return nullptr;
  detail::KeptStatistics& kept = known->kept_statistics();
  const detail::KeptStatistics::Text text = kept.take_text();
  if (text.number != 0) {
    if (auto read = parse_statistics(text.json); read != nullptr) {
      kept.keep(std::move(read), text.number);
    } else {
      count(Counter::statistics_dropped);
      report(
          Severity::warning, "kafka.statistics",
          "The statistics of a Kafka client are not the JSON that librdkafka documents, and midtrace passed "
          "them over. A client.id with a quotation mark or a backslash does that.");
    }
  }
  return kept.values();
}

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace

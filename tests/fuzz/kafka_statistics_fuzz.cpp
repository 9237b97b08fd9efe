// The statistics of a Kafka client, which librdkafka writes by hand: whatever the text, it is read or
// refused, within the limits, and what is read is read the same with unknown members in it.
#include <midtrace/kafka/statistics.h>

#include <string>
#include <string_view>

#include "check.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view input = midtrace_fuzz::text_of(bytes, size);
  const auto statistics = midtrace::kafka::parse_statistics(input);
  if (statistics == nullptr) return 0;
  FUZZ_CHECK(statistics->brokers.size() <= size && statistics->topics.size() <= size);
  FUZZ_CHECK(statistics->partitions.size() <= size);
  for (const auto& partition : statistics->partitions)
    FUZZ_CHECK(partition.topic.size() <= size);

  // What was accepted is an object, so one more member in front of the others is as good.
  std::string longer(input);
  const std::size_t begin = longer.find('{');
  FUZZ_CHECK(begin != std::string::npos);
  // Behind a NUL byte the text has ended, so what follows does not count.
  const std::size_t first = longer.find_first_not_of(" \t\r\n", begin + 1);
  const bool empty = first != std::string::npos && longer[first] == '}';
  longer.insert(begin + 1, empty ? R"("later":[{"x":{}}])" : R"("later":[{"x":{}}],)");
  const auto again = midtrace::kafka::parse_statistics(longer);
  FUZZ_CHECK(again != nullptr && again->ts == statistics->ts && again->name == statistics->name);
  FUZZ_CHECK(again->brokers.size() == statistics->brokers.size());
  FUZZ_CHECK(again->partitions.size() == statistics->partitions.size());
  FUZZ_CHECK(again->group.has_value() == statistics->group.has_value());
  return 0;
}

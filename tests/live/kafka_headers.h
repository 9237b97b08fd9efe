// Kafka headers as the live tests write and read them: lists of names and values.
#ifndef MIDTRACE_TESTS_LIVE_KAFKA_HEADERS_H_
#define MIDTRACE_TESTS_LIVE_KAFKA_HEADERS_H_

#include <librdkafka/rdkafka.h>

#include <string>
#include <utility>
#include <vector>

#include <midtrace/propagation/propagator.h>

namespace midtrace::test {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

// The context as a traceparent header would carry it.
inline std::string traceparent(const SpanContext& context) {
  char text[traceparent_length];
  write_traceparent(context, text);
  return {text, traceparent_length};
}

inline rd_kafka_headers_t* make_headers(const HeaderList& list) {
  rd_kafka_headers_t* headers = rd_kafka_headers_new(list.size());
  for (const auto& [name, value] : list) {
    rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()), value.data(),
                        static_cast<ssize_t>(value.size()));
  }
  return headers;
}

inline HeaderList list_headers(const rd_kafka_headers_t* headers) {
  HeaderList list;
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  for (std::size_t index = 0; rd_kafka_header_get_all(headers, index, &name, &value, &size) == 0; ++index) {
    list.emplace_back(name, value != nullptr ? std::string(static_cast<const char*>(value), size) : "(null)");
  }
  return list;
}

inline HeaderList headers_of(const rd_kafka_message_t* message) {
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  return list_headers(headers);
}

inline std::vector<std::string> values_of(const HeaderList& headers, const std::string& name) {
  std::vector<std::string> values;
  for (const auto& header : headers) {
    if (header.first == name) values.push_back(header.second);
  }
  return values;
}

}  // namespace midtrace::test

#endif  // MIDTRACE_TESTS_LIVE_KAFKA_HEADERS_H_

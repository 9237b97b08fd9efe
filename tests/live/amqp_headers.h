// Header tables and properties as the live AMQP tests write and read them.
//
// The entries are views: the texts given to them must live as long as they are used.
#ifndef MIDTRACE_TESTS_LIVE_AMQP_HEADERS_H_
#define MIDTRACE_TESTS_LIVE_AMQP_HEADERS_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <midtrace/context/span_context.h>
#include <midtrace/propagation/propagator.h>

#include "live/amqp_fixture.h"

namespace midtrace::test {

// The context as a traceparent header would carry it.
inline std::string traceparent(const SpanContext& context) {
  char text[traceparent_length];
  write_traceparent(context, text);
  return {text, traceparent_length};
}

inline amqp_table_entry_t text_entry(std::string_view name, std::string_view value) {
  amqp_table_entry_t entry{};
  entry.key = amqp_text(name);
  entry.value.kind = AMQP_FIELD_KIND_UTF8;
  entry.value.value.bytes = amqp_text(value);
  return entry;
}

inline amqp_table_entry_t int_entry(std::string_view name, std::int32_t value) {
  amqp_table_entry_t entry{};
  entry.key = amqp_text(name);
  entry.value.kind = AMQP_FIELD_KIND_I32;
  entry.value.value.i32 = value;
  return entry;
}

inline amqp_table_t table_of(std::vector<amqp_table_entry_t>& entries) {
  return {static_cast<int>(entries.size()), entries.data()};
}

// Properties with headers and with what else a test sets in `properties`.
struct Message {
  explicit Message(std::vector<amqp_table_entry_t> entries = {}) : headers(std::move(entries)) {
    if (headers.empty()) return;
    properties._flags |= AMQP_BASIC_HEADERS_FLAG;
    properties.headers = table_of(headers);
  }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  Message& id(std::string_view text) {
    properties._flags |= AMQP_BASIC_MESSAGE_ID_FLAG;
    properties.message_id = amqp_text(text);
    return *this;
  }
  Message& correlation(std::string_view text) {
    properties._flags |= AMQP_BASIC_CORRELATION_ID_FLAG;
    properties.correlation_id = amqp_text(text);
    return *this;
  }

  std::vector<amqp_table_entry_t> headers;
  amqp_basic_properties_t properties{};
};

// The bytes of a table on the wire, as rabbitmq-c encodes it; empty when it does not.
inline std::string encoded(amqp_table_t table) {
  std::string bytes(1 << 20, '\0');
  std::size_t offset = 0;
  if (amqp_encode_table(amqp_text(bytes), &table, &offset) != AMQP_STATUS_OK) return {};
  bytes.resize(offset);
  return bytes;
}
inline std::string encoded(amqp_table_entry_t entry) { return encoded(amqp_table_t{1, &entry}); }

// Names with their values where those are text, else with the letter of their kind.
using HeaderList = std::vector<std::pair<std::string, std::string>>;

inline HeaderList headers_of(const amqp_basic_properties_t& properties) {
  HeaderList list;
  if ((properties._flags & AMQP_BASIC_HEADERS_FLAG) == 0) return list;
  for (int index = 0; index < properties.headers.num_entries; ++index) {
    const amqp_table_entry_t& entry = properties.headers.entries[index];
    const bool text = entry.value.kind == AMQP_FIELD_KIND_UTF8 || entry.value.kind == AMQP_FIELD_KIND_BYTES;
    list.emplace_back(to_string(entry.key), text ? to_string(entry.value.value.bytes)
                                                 : std::string(1, static_cast<char>(entry.value.kind)));
  }
  return list;
}
inline HeaderList headers_of(const AmqpEnvelope& envelope) {
  return envelope != nullptr ? headers_of(envelope->message.properties) : HeaderList();
}

// Of the header of this name, which may be there once; empty when it is not.
inline std::string header(const HeaderList& headers, std::string_view name) {
  std::string found;
  for (const auto& [key, value] : headers) {
    if (key == name) found += found.empty() ? value : ", " + value;
  }
  return found;
}

}  // namespace midtrace::test

#endif  // MIDTRACE_TESTS_LIVE_AMQP_HEADERS_H_

// Field tables written down, and as rabbitmq-c encodes and decodes them.
#pragma once

#include <amqp.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace midtrace_test {

inline amqp_bytes_t bytes_of(std::string_view text) { return {text.size(), const_cast<char*>(text.data())}; }

inline amqp_field_value_t value_of(char kind) {
  amqp_field_value_t value = {};
  value.kind = static_cast<std::uint8_t>(kind);
  return value;
}
inline amqp_field_value_t text_value(std::string_view text, char kind = AMQP_FIELD_KIND_UTF8) {
  amqp_field_value_t value = value_of(kind);
  value.value.bytes = bytes_of(text);
  return value;
}
inline amqp_field_value_t integer_value(std::int64_t number, char kind = AMQP_FIELD_KIND_I64) {
  amqp_field_value_t value = value_of(kind);
  switch (kind) {
    case AMQP_FIELD_KIND_I8:
    case AMQP_FIELD_KIND_U8:
      value.value.u8 = static_cast<std::uint8_t>(number);
      break;
    case AMQP_FIELD_KIND_I16:
    case AMQP_FIELD_KIND_U16:
      value.value.u16 = static_cast<std::uint16_t>(number);
      break;
    case AMQP_FIELD_KIND_I32:
    case AMQP_FIELD_KIND_U32:
      value.value.u32 = static_cast<std::uint32_t>(number);
      break;
    default:
      value.value.i64 = number;
  }
  return value;
}

// The names and texts must outlive it.
class Table {
 public:
  Table() = default;
  Table(std::initializer_list<amqp_table_entry_t> entries) : entries_(entries) {}
  Table& add(std::string_view name, const amqp_field_value_t& value) {
    entries_.push_back({bytes_of(name), value});
    return *this;
  }
  amqp_table_t get() { return {static_cast<int>(entries_.size()), entries_.data()}; }
  amqp_field_value_t value() {
    amqp_field_value_t value = value_of(AMQP_FIELD_KIND_TABLE);
    value.value.table = get();
    return value;
  }

 private:
  std::vector<amqp_table_entry_t> entries_;
};

class Array {
 public:
  Array& add(const amqp_field_value_t& value) {
    values_.push_back(value);
    return *this;
  }
  amqp_field_value_t value() {
    amqp_field_value_t value = value_of(AMQP_FIELD_KIND_ARRAY);
    value.value.array = {static_cast<int>(values_.size()), values_.data()};
    return value;
  }

 private:
  std::vector<amqp_field_value_t> values_;
};

// What rabbitmq-c makes of a table; empty when it refuses to.
inline std::string encoded(amqp_table_t table) {
  std::string buffer(1U << 20U, '\0');
  std::size_t offset = 0;
  if (amqp_encode_table({buffer.size(), buffer.data()}, &table, &offset) != AMQP_STATUS_OK) return {};
  return buffer.substr(0, offset);
}

inline std::string encoded(const amqp_table_entry_t& entry) {
  amqp_table_entry_t copy = entry;
  return encoded(amqp_table_t{1, &copy});
}

// A table of every kind that rabbitmq-c knows, with tables and arrays in each other, empty ones too.
class EveryKind {
 public:
  EveryKind() {
    amqp_field_value_t value = value_of(AMQP_FIELD_KIND_BOOLEAN);
    value.value.boolean = 1;
    table_.add("t", value);
    const std::string_view integers = "bBsuIilL";
    for (std::size_t index = 0; index < integers.size(); ++index)
      table_.add(integers.substr(index, 1), integer_value(-3, integers[index]));
    value = value_of(AMQP_FIELD_KIND_F32);
    value.value.f32 = -1.5F;
    table_.add("f", value);
    value = value_of(AMQP_FIELD_KIND_F64);
    value.value.f64 = 0.1;
    table_.add("d", value);
    value = value_of(AMQP_FIELD_KIND_DECIMAL);
    value.value.decimal = {2, 31415};
    table_.add("D", value);
    table_.add("S", text_value(std::string_view("text\0more", 9)));
    table_.add("empty S", text_value(""));
    table_.add("x", text_value("\xFF\xFE", AMQP_FIELD_KIND_BYTES));
    table_.add("T", integer_value(1'700'000'000, AMQP_FIELD_KIND_TIMESTAMP));
    table_.add("V", value_of(AMQP_FIELD_KIND_VOID));
    table_.add("empty A", value_of(AMQP_FIELD_KIND_ARRAY));
    table_.add("empty F", value_of(AMQP_FIELD_KIND_TABLE));
    inner_.add("V", value_of(AMQP_FIELD_KIND_VOID)).add("", text_value("no name"));
    array_.add(inner_.value()).add(value_of(AMQP_FIELD_KIND_ARRAY)).add(integer_value(7));
    outer_.add("A", array_.value()).add("traceparent", text_value("not at the top"));
    table_.add("A", array_.value());
    table_.add("F", outer_.value());
    table_.add("", text_value("no name"));
  }
  Table& table() { return table_; }

 private:
  Table inner_;
  Array array_;
  Table outer_;
  Table table_;
};

}  // namespace midtrace_test

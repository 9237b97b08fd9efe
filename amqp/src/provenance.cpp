#include "provenance.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "table.h"

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

namespace {

constexpr int max_deaths_read = 64;

// A count of any integer kind, within 0 and max_attempt.
std::optional<std::int64_t> count_of(const amqp_field_value_t& value) noexcept {
  const auto clamped = [](std::int64_t number) { return std::clamp<std::int64_t>(number, 0, max_attempt); };
  switch (value.kind) {
    case AMQP_FIELD_KIND_I8:
      return clamped(value.value.i8);
    case AMQP_FIELD_KIND_U8:
      return clamped(value.value.u8);
    case AMQP_FIELD_KIND_I16:
      return clamped(value.value.i16);
    case AMQP_FIELD_KIND_U16:
      return clamped(value.value.u16);
    case AMQP_FIELD_KIND_I32:
      return clamped(value.value.i32);
    case AMQP_FIELD_KIND_U32:
      return clamped(value.value.u32);
    case AMQP_FIELD_KIND_I64:
      return clamped(value.value.i64);
    case AMQP_FIELD_KIND_U64:
      return value.value.u64 > static_cast<std::uint64_t>(max_attempt) ? max_attempt
                                                                       : clamped(value.value.i64);
    default:
      return std::nullopt;
  }
}

struct Death {
  std::int64_t count = 1;
  bool consumed = false;  // it had been with a consumer
};

Death death_of(const amqp_table_t& table) noexcept {
  Death death;
  for (const amqp_table_entry_t& entry : entries_of(table)) {
    const std::string_view name = text_of(entry.key);
    if (name == "count") {
      death.count = count_of(entry.value).value_or(death.count);
    } else if (name == "reason") {
      const std::string_view reason = text_of(entry.value).value_or(std::string_view());
      death.consumed = reason == "rejected" || reason == "delivery_limit";
    }
  }
  return death;
}

}  // namespace

Provenance provenance_of(const amqp_table_t* headers, bool redelivered) noexcept {
  Provenance provenance;
  std::optional<std::int64_t> delivered;
  std::optional<std::int64_t> acquired;
  std::int64_t rejected = 0;
  std::int64_t deaths = 0;

  const auto entries = headers != nullptr ? entries_of(*headers) : std::span<const amqp_table_entry_t>();
  int read = 0;
  for (const amqp_table_entry_t& entry : entries) {
    const std::string_view name = text_of(entry.key);
    if (!name.starts_with("x-")) continue;
    const std::string_view text = text_of(entry.value).value_or(std::string_view());
    if (name == "x-delivery-count") {
      delivered = count_of(entry.value);
    } else if (name == "x-acquired-count") {
      acquired = count_of(entry.value);
    } else if (name == "x-first-death-queue") {
      provenance.first_death_queue = text;
    } else if (name == "x-first-death-exchange") {
      provenance.first_death_exchange = text;
    } else if (name == "x-first-death-reason") {
      provenance.first_death_reason = text;
    } else if (name == "x-death" && entry.value.kind == AMQP_FIELD_KIND_ARRAY) {
      const amqp_array_t& array = entry.value.value.array;
      if (array.entries == nullptr) continue;
      for (int index = 0; index < array.num_entries && read < max_deaths_read; ++index, ++read) {
        const amqp_field_value_t& value = array.entries[index];
        if (value.kind != AMQP_FIELD_KIND_TABLE) continue;
        const Death death = death_of(value.value.table);
        provenance.dead_lettered = true;
        deaths += death.count;
        if (death.consumed) rejected += death.count;
      }
    }
  }
  if (!provenance.first_death_reason.empty()) provenance.dead_lettered = true;
  provenance.deaths = static_cast<std::uint64_t>(deaths);

  std::optional<std::int64_t> before = acquired.has_value() ? acquired : delivered;
  if (!redelivered) before = 0;
  provenance.attempt = before.has_value() ? std::min(1 + *before + rejected, max_attempt) : 0;
  return provenance;
}

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace

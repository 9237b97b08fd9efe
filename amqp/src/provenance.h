// What the headers of a received message say of its history: how often it was delivered, and whether and why
// it was dead-lettered.
//
// A quorum queue counts: x-delivery-count is 0 or absent on the first delivery, and on every later one the
// number of deliveries before it; from RabbitMQ 4.3 that number is x-acquired-count, and x-delivery-count has
// only those of them that failed. A message that is not flagged as redelivered is new to its queue, so what
// these headers then say was copied from another message. Classic queues do not count. x-death has one table
// for each queue and reason, with a count; a message that was rejected, or returned too often, had been with
// a consumer, one that expired or overflowed its queue had not. Values are hostile: wrong kinds count as
// absent, negative counts as 0, and counts are clamped; at most 64 tables of x-death are read. The views are
// into the table, and may be any bytes. Nothing throws or allocates; any thread. Source: RabbitMQ, Quorum
// Queues (poison messages) and Dead Letter Exchanges.
#pragma once

#include <midtrace/amqp/library.h>

#include <cstdint>
#include <string_view>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

inline constexpr std::int64_t max_attempt = 1'000'000'000;

struct Provenance {
  // 1 on the first delivery, plus those before it in this queue, plus those that ended in a rejection. 0 when
  // unknown: redelivered by a queue that does not count.
  std::int64_t attempt = 1;
  std::uint64_t deaths = 0;  // how often it was dead-lettered, for any reason
  bool dead_lettered = false;
  std::string_view first_death_queue;
  std::string_view first_death_exchange;
  std::string_view first_death_reason;
};

// `headers` may be null.
Provenance provenance_of(const amqp_table_t* headers, bool redelivered) noexcept;

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace

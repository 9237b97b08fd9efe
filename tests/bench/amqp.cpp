// What tracing adds to a RabbitMQ client: for each message that is published, confirmed, consumed, processed
// and acknowledged; with many messages open; and in memory.
//
// The wire is in memory (support/amqp_wire.h): rabbitmq-c does all its work but the system calls, which are
// the same with and without tracing, cost ten times what is measured here, and vary by as much.
#include <malloc.h>

#include <array>
#include <string>
#include <vector>

#include "amqp_client.h"
#include "cases.h"
#include "reference.h"

namespace midtrace::bench {

namespace {

// Messages of a block; a message has up to four spans, and all of them wait in the queue.
constexpr std::size_t burst = 2000;
constexpr std::size_t batch_size = 50;

enum Variant : std::size_t { bare, hand, unsampled, sampled, variants };
constexpr std::array<const char*, variants> variant_names{"bare", "hand", "unsampled", "sampled"};

constexpr bool is_traced(Variant variant) { return variant == unsampled || variant == sampled; }
// What the messages carry that come in.
constexpr std::string_view header_of(Variant variant) {
  return variant == bare ? std::string_view() : variant == unsampled ? amqp_unsampled : amqp_sampled;
}

SetupOptions room_for_bursts() {
  SetupOptions options;
  options.batch = room_for(1U << 16U);
  options.batch->memory_bytes = 256ULL * 1024 * 1024;
  return options;
}

Context around(Variant variant) {
  Context context;
  if (is_traced(variant)) context.span = parse_traceparent(header_of(variant));
  return context;
}

// One client for each variant.
class Clients {
 public:
  explicit Clients(bool confirms) {
    for (std::size_t i = 0; i < variants; ++i)
      clients_[i] = std::make_unique<AmqpClient>(is_traced(static_cast<Variant>(i)), confirms);
  }
  AmqpClient& operator[](Variant variant) const { return *clients_[variant]; }

  std::string problem() const {
    for (const auto& client : clients_) {
      if (!client->ready()) return "a connection could not be set up on its wire";
      if (client->failures() != 0) return std::to_string(client->failures()) + " calls failed";
    }
    return {};
  }

 private:
  std::array<std::unique_ptr<AmqpClient>, variants> clients_;
};

std::string lost(const Tracing& tracing) {
  const Counters now = tracing.counters();
  for (const Counter counter : {Counter::injection_skipped, Counter::operations_lost,
                                Counter::dropped_no_record, Counter::operations_timed_out}) {
    if (now[counter] != 0) return std::string(counter_name(counter)) + " = " + std::to_string(now[counter]);
  }
  return now.dropped_spans() == 0 ? "" : std::to_string(now.dropped_spans()) + " spans were dropped";
}

void publish_one(AmqpClient& client, Variant variant) {
  if (variant == hand) {
    client.publish_with(amqp_sampled);
  } else {
    client.publish();
  }
}

Cost publish_burst(AmqpClient& client, Variant variant) {
  const Scope scope(around(variant));
  return timed(burst, [&](std::size_t) { publish_one(client, variant); });
}

Cost plus(Cost left, Cost right) { return {left.nanos + right.nanos, left.allocations + right.allocations}; }

Cost publish_confirmed_burst(AmqpClient& client, Variant variant) {
  const Cost published = publish_burst(client, variant);
  client.put_confirms(burst);
  return plus(published, timed(burst, [&](std::size_t) { client.read_confirms(1); }));
}

Cost consume_burst(AmqpClient& client, Variant variant) {
  client.put_deliveries(burst, header_of(variant));
  return timed(burst, [&](std::size_t) { client.consume_one(variant == hand); });
}

Cost consume_batches(AmqpClient& client, Variant variant) {
  // Of several links that are all unsampled no decision follows; a parent's does.
  const Scope scope(variant == unsampled ? around(variant) : Context());
  client.put_deliveries(burst, header_of(variant));
  Cost cost =
      timed(burst / batch_size, [&](std::size_t) { client.consume_batch(batch_size, variant == hand); });
  cost.nanos /= static_cast<double>(batch_size);
  cost.allocations /= static_cast<double>(batch_size);
  return cost;
}

Cost consume_only_burst(AmqpClient& client, Variant variant) {
  client.put_deliveries(burst, header_of(variant), false);
  return timed(burst, [&](std::size_t) { client.consume_unacknowledged(variant == hand); });
}

struct Measure {
  const char* name;
  bool confirms;
  Cost (*block)(AmqpClient&, Variant);
  std::uint64_t spans;  // of a sampled block
  std::optional<double> unsampled_at_most;
  std::optional<double> sampled_at_most;
};

// A publish, and a message that is consumed, processed and acknowledged: a whole pipeline, with four spans.
// The budget is about the two calls that move a message, with a span each.
Cost whole_message(AmqpClient& client, Variant variant) {
  return plus(publish_burst(client, variant), consume_burst(client, variant));
}
Cost publish_and_consume(AmqpClient& client, Variant variant) {
  return plus(publish_burst(client, variant), consume_only_burst(client, variant));
}
Cost whole_confirmed_message(AmqpClient& client, Variant variant) {
  return plus(publish_confirmed_burst(client, variant), consume_burst(client, variant));
}

constexpr std::uint64_t batch_spans = burst + 2 * (burst / batch_size);
constexpr Measure publish_measure{"AMQP publish", false, publish_burst, burst, {}, {}};
constexpr Measure measures[] = {
    {"AMQP publish + consume", false, publish_and_consume, 2 * burst, 150, 500},
    {"AMQP publish + consume, process, ack", false, whole_message, 4 * burst, {}, {}},
    {"AMQP publish with its confirm + consume, process, ack",
     true,
     whole_confirmed_message,
     4 * burst,
     {},
     {}},
    publish_measure,
    {"AMQP publish with its confirm", true, publish_confirmed_burst, burst, {}, {}},
    {"AMQP consume, process, ack", false, consume_burst, 3 * burst, {}, {}},
    {"AMQP consume, process and ack in batches of 50", false, consume_batches, batch_spans, {}, {}},
};

void measure(Session& session, Tracing& tracing, const Measure& what) {
  const Clients clients(what.confirms);
  std::string problem = clients.problem();
  std::vector<Contestant> contestants;
  for (std::size_t i = 0; i < variants; ++i) {
    const auto variant = static_cast<Variant>(i);
    contestants.push_back({variant_names[i], [&, variant] {
                             const Counters before = tracing.counters();
                             const Cost cost = what.block(clients[variant], variant);
                             tracing.flush();
                             const std::uint64_t recorded =
                                 tracing.counters()[Counter::spans_sampled] - before[Counter::spans_sampled];
                             if (recorded != (variant == sampled ? what.spans : 0))
                               problem = std::to_string(recorded) + " spans recorded";
                             return cost;
                           }});
  }
  Rounds rounds(variants);
  if (problem.empty()) {
    rounds = interleave(contestants, session.rounds(40));
    if (problem.empty()) problem = clients.problem();
    if (problem.empty()) problem = lost(tracing);
  }
  const std::string name = what.name;
  const auto add = [&](Row row) {
    row.void_reason = problem;
    if (!problem.empty()) row.value = {};
    session.add(std::move(row));
  };
  if (!problem.empty()) return add({name, "ns", {}});
  Row by_hand{name + ": with a hand-added header", "ns", rounds.cost(hand)};
  by_hand.reference = Reference{"bare", rounds.cost(bare), rounds.ratio(hand, bare)};
  add(std::move(by_hand));
  const auto added = [&](Variant variant, std::optional<double> at_most) {
    Row row{name + ": " + variant_names[variant] + " adds", "ns", rounds.added(variant, hand)};
    row.reference = Reference{"hand-added header", rounds.cost(hand), rounds.ratio(variant, hand)};
    row.at_most = at_most;
    add(std::move(row));
  };
  added(unsampled, what.unsampled_at_most);
  added(sampled, what.sampled_at_most);
  for (const Variant variant : {unsampled, sampled}) {
    Row row{name + ": " + variant_names[variant] + ", heap allocations beyond the hand-added header",
            "per message", exactly(rounds.allocations(variant) - rounds.allocations(hand))};
    if (variant == unsampled) row.at_most = 0;
    add(std::move(row));
  }
}

// With the reference, its span and its header by hand.
void measure_reference(Session& session, Tracing& tracing) {
  const auto reference = reference_send(1U << 16U);
  if (!reference) return;
  const Clients clients(false);
  AmqpClient by_reference(false, false);
  const Contestant contestants[] = {
      {"hand", [&] { return publish_burst(clients[hand], hand); }},
      {"sampled",
       [&] {
         const Cost cost = publish_burst(clients[sampled], sampled);
         tracing.flush();
         return cost;
       }},
      {"reference",
       [&] {
         const Cost cost = timed(burst, [&](std::size_t) {
           char header[traceparent_length];
           reference->begin(header);
           by_reference.publish_with({header, sizeof(header)});
           reference->end();
         });
         reference->flush();
         return cost;
       }},
  };
  const Rounds rounds = interleave(contestants, session.rounds(24));
  Row row{"AMQP publish, sampled: against tracing by hand", "ns", rounds.added(1, 0)};
  row.reference = Reference{reference_name(), rounds.added(2, 0), rounds.ratio(1, 2, 0)};
  row.void_reason = clients.problem();
  if (row.void_reason.empty()) row.void_reason = lost(tracing);
  if (row.void_reason.empty()) row.void_reason = reference->problem();
  session.add(std::move(row));
}

// --- Many messages open.

constexpr double growth_of_cost = 1.5;
constexpr std::array<std::size_t, 3> open_messages{1000, 10'000, 65'000};  // below Channel::max_unacked

// `prepare` leaves so many messages open, `block` works on others beside them.
void measure_growth(Session& session, const char* name, bool confirms,
                    const std::function<void(AmqpClient&, Variant, std::size_t)>& prepare,
                    Cost (*block)(AmqpClient&, Variant)) {
  Tracing tracing(room_for_bursts());
  std::vector<std::unique_ptr<AmqpClient>> clients;
  std::vector<Contestant> contestants;
  std::string problem;
  for (const std::size_t open : open_messages) {
    for (const Variant variant : {hand, sampled}) {
      clients.push_back(std::make_unique<AmqpClient>(is_traced(variant), confirms));
      AmqpClient& client = *clients.back();
      if (!client.ready()) problem = "a connection could not be set up on its wire";
      for (std::size_t left = open; problem.empty() && left > 0; left -= std::min(left, burst)) {
        prepare(client, variant, std::min(left, burst));
        tracing.flush();
      }
      contestants.push_back({variant_names[variant], [&tracing, &client, variant, block] {
                               const Cost cost = block(client, variant);
                               tracing.flush();
                               return cost;
                             }});
    }
  }
  Rounds rounds(contestants.size());
  if (problem.empty()) rounds = interleave(contestants, session.rounds(24));
  for (const auto& client : clients) {
    if (client->failures() != 0) problem = std::to_string(client->failures()) + " calls failed";
  }
  if (problem.empty()) problem = lost(tracing);
  for (std::size_t i = 0; i < open_messages.size(); ++i) {
    Row row{std::string(name) + " beside " + std::to_string(open_messages[i]) + " open ones: sampled adds",
            "ns",
            {}};
    row.void_reason = problem;
    if (problem.empty()) row.value = rounds.added(2 * i + 1, 2 * i);
    if (i > 0) {
      row.reference = Reference{"beside 1000", {}, {}};
      if (problem.empty()) {
        row.reference->value = rounds.added(1, 0);
        row.reference->ratio = rounds.growth(2 * i + 1, 2 * i, 1, 0);
      }
      row.at_most_of_reference = growth_of_cost;
    }
    session.add(std::move(row));
  }
  // Before the tracing goes: what is left open ends with its connection, and is not part of the figures.
  clients.clear();
}

}  // namespace

void amqp_message(Session& session) {
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  Tracing tracing(room_for_bursts());
  for (const Measure& what : measures)
    measure(session, tracing, what);
  measure_reference(session, tracing);
}

void amqp_open_messages(Session& session) {
  measure_growth(
      session, "AMQP publish with its confirm", true,
      [](AmqpClient& client, Variant variant, std::size_t count) {
        const Scope scope(around(variant));
        for (std::size_t i = 0; i < count; ++i)
          publish_one(client, variant);
      },
      publish_confirmed_burst);
  measure_growth(
      session, "AMQP consume, process, ack", false,
      [](AmqpClient& client, Variant variant, std::size_t count) {
        client.put_deliveries(count, header_of(variant));
        for (std::size_t i = 0; i < count; ++i)
          client.consume_and_leave();
      },
      consume_burst);
}

// --- Memory.

namespace {

double heap() {
  const struct mallinfo2 now = mallinfo2();
  return static_cast<double>(now.uordblks + now.hblkhd);
}

// Heap that one unconfirmed publish, or one unsettled delivery, holds.
std::vector<double> heap_per_message(bool delivery) {
  constexpr std::size_t messages = 65'536;  // a full table: half empty it would say more of the table
  Tracing tracing(room_for_bursts());
  AmqpClient client(true, true);
  if (!client.ready()) return {};
  const Scope scope(around(sampled));
  if (delivery) {
    double held = 0;
    for (std::size_t left = messages; left > 0; left -= std::min(left, burst)) {
      const std::size_t count = std::min(left, burst);
      client.put_deliveries(count, amqp_sampled);
      const double before = heap();
      for (std::size_t i = 0; i < count; ++i)
        client.consume_and_leave();
      held += heap() - before;
      tracing.flush();
    }
    return {held / static_cast<double>(messages)};
  }
  const double before = heap();
  for (std::size_t i = 0; i < messages; ++i)
    client.publish();
  const double after = heap();
  const bool complete = client.failures() == 0 && tracing.counters()[Counter::spans_sampled] == messages;
  return complete ? std::vector<double>{(after - before) / static_cast<double>(messages)}
                  : std::vector<double>{};
}

}  // namespace

std::vector<double> child_amqp_open_publishes() { return heap_per_message(false); }
std::vector<double> child_amqp_unsettled() { return heap_per_message(true); }

void amqp_memory(Session& session) {
  const auto row = [&session](std::string name, std::string_view child, std::optional<double> at_most) {
    const std::vector<double> value = run_child(child);
    Row made{std::move(name), "bytes", exactly(value.size() == 1 ? value[0] : 0)};
    made.at_most = at_most;
    if (value.size() != 1) made.void_reason = "its process failed";
    session.add(std::move(made));
  };
  row("open AMQP publish: heap", "amqp_open_publishes", 160);
  row("unsettled AMQP delivery: heap", "amqp_unsettled", {});
}

}  // namespace midtrace::bench
